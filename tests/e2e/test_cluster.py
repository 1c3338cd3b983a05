"""The graph over three Ray nodes: each stage on another, ingresses on two, and one of them lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from clients import events as told
from clients.returning import Backoff
from tests import redis_server
from tests.e2e.caller import Caller, calling
from tests.e2e.cluster import ClusterGraph, running_over_nodes

pytestmark = pytest.mark.timeout(480)

CALLS = 4
BACK_S = 90.0
TURN_S = 15.0
NEEDS = {"Ingress": "ingress", "SpeechToText": "ears", "LanguageModel": "mind"}
NEEDS["TextToSpeech"] = "voice"


def config(directory: Path, redis_url: str) -> Path:
    """The graph of resume_graph.py, each part where a node has what it asks for."""
    parts: list[dict[str, Any]] = [
        {"name": name, "ray_actor_options": {"num_cpus": 0.1, "resources": {resource: 1}}}
        for name, resource in NEEDS.items()
    ]
    application = {
        "name": "parley",
        "route_prefix": "/",
        "import_path": "tests.e2e.resume_graph:build",
        "args": {
            "stt": {"backend": "fixed"},
            "llm": {"backend": "rememberer"},
            "tts": {"backend": "steps", "first_s": 3},
            "resume": {"store": "redis", "redis_url": redis_url},
        },
        "deployments": parts,
    }
    whole = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [application],
    }
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ClusterGraph]:
    """With conversations in a Redis, which outlives any node."""
    with (
        redis_server.running(tmp_path) as url,
        running_over_nodes(config(tmp_path, url), tmp_path) as graph,
    ):
        yield graph


async def turn(caller: Caller, words: list[str]) -> told.ReplyDone | told.ServerError | None:
    """Say another word: what came of it. None: nothing, as its ingress was lost before it knew."""
    words.append(f"again{len(words)}")
    await caller.client.send_text(words[-1])
    with contextlib.suppress(TimeoutError):
        return await caller.until(
            lambda event: (
                isinstance(event, told.ServerError)
                or (isinstance(event, told.ReplyDone) and event.status == "completed")
            ),
            TURN_S,
        )


async def answered(caller: Caller, words: list[str]) -> None:
    """Says words until one is answered in full, by a reply that knows what was said before."""
    async with asyncio.timeout(BACK_S):
        while not isinstance(done := await turn(caller, words), told.ReplyDone):  # noqa: ASYNC110
            await asyncio.sleep(1)  # Whoever is told so asks again a little later.
    heard = done.heard.removeprefix("You said ").removesuffix(".").split(" and then ")
    assert (heard[0], heard[-1]) == (words[0], words[-1])
    assert set(heard) <= set(words)


async def test_a_node_is_lost_and_another_comes(graph: ClusterGraph) -> None:
    """Calls at the lost ingress go on at the other with what was said; replies fail, and say so,
    until a node with room for the voice has joined; then each call is answered, and still knows
    all that was said."""
    stages = [graph.node_of(stage) for stage in NEEDS if stage != "Ingress"]
    assert len(set.union(*stages)) == len(stages) == 3
    assert len(graph.node_of("Ingress")) == 2
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(calling(graph.url, codec="pcm16", reconnect=Backoff()))
            for _ in range(CALLS)
        ]
        said: list[list[str]] = []
        for number, caller in enumerate(callers):
            said.append([f"word{number}"])
            await caller.client.send_text(f"word{number}")
            assert (await caller.until_a(told.ReplyDone)).heard == f"You said word{number}."
        await asyncio.to_thread(graph.order, "remove two")
        async with asyncio.timeout(BACK_S):
            while not isinstance(error := await turn(callers[0], said[0]), told.ServerError):
                assert error is None, "there is no voice, and yet it spoke"
        assert error.code in ("stage_failed", "stage_timeout", "stage_unavailable")
        await asyncio.to_thread(graph.order, "add three")
        for caller, words in zip(callers, said, strict=True):
            await answered(caller, words)
            assert len(caller.of(told.Reconnecting)) == len(caller.of(told.Resumed)) <= 1
        async with asyncio.timeout(BACK_S):
            while len(graph.node_of("Ingress")) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.25)
