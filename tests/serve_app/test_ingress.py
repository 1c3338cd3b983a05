"""serve_app.ingress: the parts that need no graph."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import pytest

from serve_app.errors import ConfigError
from serve_app.pause_judge import ThreadedJudge
from tests.ingress import open_ingress, replica_of, ring_up

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app.ingress import _new_judge


def test_silence_asks_no_judge() -> None:
    """The pause alone decides: no network is loaded and no thread kept."""
    assert _new_judge("silence") is None


@pytest.mark.parametrize("name", ["energy", "smart-turn"])
async def test_each_detector_has_its_judge(name: str) -> None:
    """It answers before the first call does."""
    judge = _new_judge(name)
    assert isinstance(judge, ThreadedJudge)
    assert await judge.judge(bytes(32_000)) is not None
    judge.close()


@pytest.mark.parametrize(("origin", "status", "close"), [({}, 503, None), (True, None, 1013)])
async def test_a_replica_that_is_to_stop_takes_no_call(
    origin: Any, status: int | None, close: int | None
) -> None:
    """And says when to try again, to a browser in its own way; the call that it has is moved."""
    headers = {"origin": "http://127.0.0.1:8000"} if origin else {}
    async with open_ingress() as app, ring_up(app, "/v1/realtime") as held:
        assert (await held.next_json())["type"] == "session.created"
        replica_of(app)._drain.told(running=False, others=1)
        async with ring_up(app, "/ws", **headers) as line:
            await line.answered.wait()
            said = await line.ended()
            assert (line.status, line.closed_with) == (status, close)
            assert line.code == "stopping" if status else '"stopping"' in str(said[0])
            if status:
                assert line.denied_with["retry-after"] == "1"
        assert held.closed_with is None


async def test_a_call_whose_client_broke_off_ends_as_any_other() -> None:
    """Whatever is sent to it then is in vain; `ring_up` raises what the server raised."""
    async with open_ingress() as app:
        async with ring_up(app, "/ws", {"codec": "pcm16"}) as line:
            await line.next_json()
            line.broken = True
            line.say(json.dumps({"type": "text", "text": "Hi"}))
            await line.missed.wait()
        assert replica_of(app)._admission.calls == 0


@pytest.mark.parametrize("headers", [{}, {"origin": "http://127.0.0.1:8000"}])
@pytest.mark.parametrize("stopping", [False, True])
async def test_who_left_before_the_call_was_taken_is_let_go(
    headers: dict[str, str], stopping: bool
) -> None:
    """Whether it would have been taken or refused."""
    async with open_ingress() as app:
        if stopping:
            replica_of(app)._drain.told(running=False, others=1)
        async with ring_up(app, "/ws", broken=True, **headers) as line:
            await line.missed.wait()
        assert replica_of(app)._admission.calls == 0


async def test_a_budget_over_the_grace_period_is_refused_at_the_start() -> None:
    """Only there is the grace period known behind Serve's own proxy."""
    why = "limits.drain_s is 60, .* lower it to 15 or less, or raise graceful_shutdown_timeout_s"
    with pytest.raises(ConfigError, match=why):
        async with open_ingress(20.0):
            raise AssertionError("it started")


async def test_a_replica_whose_watches_failed_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They fail together, and Serve is told, which then makes another replica."""

    async def fails(*_: object) -> None:
        raise OSError("no clock")

    monkeypatch.setattr("serve_app.load_watch._watch_lag", fails)
    async with open_ingress() as app:
        replica = replica_of(app)
        await asyncio.wait([replica._watching])
        with pytest.raises(ExceptionGroup) as failed:
            await replica.check_health()
    assert failed.group_contains(OSError, match="no clock")
