"""Which replica a phrase goes to, by the router that Serve runs in the ingress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, RequestMetadata
from ray.serve.request_router import PendingRequest

from deployments.contracts import SpeechRequest
from deployments.voice_router import VoiceRouter

LONG = SpeechRequest("word " * 40, urgency="later")
FIRST = SpeechRequest("Well, yes.", urgency="first")


@dataclass(frozen=True)
class Replica:
    """As much of one as the router looks at."""

    replica_id: Any


A, B = Replica("a"), Replica("b")


@pytest.fixture
async def router() -> VoiceRouter:
    """One that Serve has just made."""
    made = VoiceRouter(
        deployment_id=DeploymentID("TextToSpeech", "parley"),
        handle_source=DeploymentHandleSource.REPLICA,
        use_replica_queue_len_cache=True,
        get_curr_time_s=lambda: 0.0,
    )
    made.initialize_state()
    return made


def asked(name: str, *arguments: object) -> PendingRequest:
    """A request to the deployment."""
    metadata = RequestMetadata(request_id=name, internal_request_id=name, call_method="speak")
    return PendingRequest(args=list(arguments), kwargs={}, metadata=metadata)


async def chosen(router: VoiceRouter, request: PendingRequest) -> list[Any]:
    """The replicas of each rank."""
    ranks = await router.choose_replicas([A, B], request)  # type: ignore[list-item]
    return [[replica.replica_id for replica in rank] for rank in ranks]


async def test_a_phrase_goes_to_the_voice_that_can_begin(router: VoiceRouter) -> None:
    """The one with a long phrase in it is the second choice, whichever that is."""
    [[busy], [idle]] = await chosen(router, asked("long", LONG))
    assert await chosen(router, asked("first", FIRST)) == [[idle], [busy]]


async def test_a_nearly_made_phrase_is_no_reason_to_leave(router: VoiceRouter) -> None:
    """Two short ones are made sooner than a long one: their number alone says nothing."""
    [[busy], [other]] = await chosen(router, asked("long", LONG))
    assert await chosen(router, asked("1", FIRST)) == [[other], [busy]]
    assert await chosen(router, asked("2", FIRST)) == [[other], [busy]]


async def test_what_is_over_or_given_up_does_not_count(router: VoiceRouter) -> None:
    """A request that ended, and one that was cancelled before it was sent."""
    for end in ("ended", "cancelled"):
        request = asked("long", LONG)
        [[busy], [idle]] = await chosen(router, request)
        if end == "ended":
            router.on_request_completed(busy, "long")
        else:
            request.future.cancel()
        [[first], _] = await chosen(router, asked("1", LONG))
        [[second], _] = await chosen(router, asked("2", FIRST))
        assert {first, second} == {busy, idle}
        for name in ("1", "2"):
            router.on_request_completed(busy, name)


async def test_a_request_routed_again_counts_once(router: VoiceRouter) -> None:
    """Its first choice did not take it."""
    request = asked("long", LONG)
    for _ in range(3):
        await chosen(router, request)
    router.on_request_completed("a", "long")  # type: ignore[arg-type]
    assert {backlog.wait_s(_job(), 0.0) for backlog in router._backlogs.values()} == {0.0}


async def test_what_others_asked_for_counts(router: VoiceRouter) -> None:
    """Another ingress's phrases are seen by their number."""
    router.replica_queue_len_cache.update("a", 3)  # type: ignore[arg-type]
    assert await chosen(router, asked("first", FIRST)) == [["b"], ["a"]]


@pytest.mark.parametrize("arguments", [(), ("a name",)])
async def test_what_is_no_phrase_goes_anywhere(
    router: VoiceRouter, arguments: tuple[object, ...]
) -> None:
    """Serve chooses among all."""
    assert await chosen(router, asked("voices", *arguments)) == [["a", "b"]]
    assert await router.choose_replicas([A, B]) == [[A, B]]  # type: ignore[list-item]


def _job() -> Any:
    from deployments.schedule import Job

    return Job(99, "offline", 0.0, 1)
