"""Calls over networks that are late, dead or slow, on a real graph."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from clients import events as told
from clients.returning import Backoff
from tests.e2e.bad_network import Weather, bad_network
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import Graph, running
from tests.e2e.watched_calls import calling as watched
from tests.e2e.watched_calls import timed

pytestmark = pytest.mark.timeout(480)

MOBILE = Weather(delay_s=0.06, jitter_s=0.04, lost_in=100, again_s=0.3)
"""A bad mobile network."""
ROUND_S = 90.0
NOTICED_S = 90.0
SLOW_READERS = 5
LONG = "This is said back at the end, and it takes the caller a long while to hear it. " * 4
MORE_MB = 24.0


@pytest.fixture(scope="module", params=["fast", pytest.param("default", marks=pytest.mark.soak)])
def graph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Graph]:
    """The load test's graph."""
    directory = tmp_path_factory.mktemp("network")
    with running(timed(directory), request.param, directory) as graph:
        yield graph


async def until_calls(graph: Graph, count: int) -> None:
    """Until the server holds so many calls."""
    async with httpx.AsyncClient() as client, asyncio.timeout(NOTICED_S):
        calls = -1
        while calls != count:
            calls = (await client.get(f"http://{graph.host}/readyz")).json()["calls"]


async def answered(caller: Caller, text: str) -> None:
    """Type something, and hear it said back to the end."""
    await caller.client.send_text(text)
    done = await caller.until_a(told.ReplyDone, 30)
    assert done.status == "completed"
    assert text in done.heard


async def test_a_network_that_is_late_and_loses(graph: Graph) -> None:
    """Four callers say, type and interrupt; every turn is answered, and nothing is lost."""
    async with (
        bad_network(graph.url, MOBILE) as (url, _),
        watched(range(4), url) as calls,
    ):
        for _ in range(2):
            await calls.until_answered(ROUND_S)
    assert calls.failures() == []
    assert calls.endings() == ["stopped"] * 4


async def test_a_connection_that_died_without_a_word(graph: Graph) -> None:
    """The client notices and comes back to its conversation; the server lets go of what is dead,
    that of a caller who never returns as well."""
    await until_calls(graph, 0)
    async with bad_network(graph.url) as (url, network), contextlib.AsyncExitStack() as stack:
        back = await stack.enter_async_context(calling(url, codec="pcm16", reconnect=Backoff()))
        gone = await stack.enter_async_context(connect(f"{url}?codec=pcm16", ping_interval=None))
        assert json.loads(await gone.recv())["type"] == "ready"
        await answered(back, "apples")
        await back.client.send_text(LONG)
        await back.until_a(told.Audio)
        network.freeze()
        resumed = await back.until_a(told.Resumed, NOTICED_S)
        assert resumed.turns == 2
        await back.until_a(told.ReplyDone, 60)
        await answered(back, "pears")
        await until_calls(graph, 1)
    await until_calls(graph, 0)


@contextlib.asynccontextmanager
async def slow_reader(url: str) -> AsyncIterator[None]:
    """A caller who asked for a long reply and gets to hear it at a crawl."""
    async with connect(f"{url}?codec=pcm16", compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps({"type": "text", "text": LONG}))

        async def read() -> None:
            with contextlib.suppress(ConnectionClosed):
                async for _ in socket:
                    pass

        reading = asyncio.ensure_future(read())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            socket.transport.abort()


async def test_callers_whose_network_is_slower_than_speech(graph: Graph) -> None:
    """What waits for them is bounded, a caller beside them hears every reply without a gap, and
    nothing is left of them."""
    await until_calls(graph, 0)
    ingress = graph.replica("Ingress")
    async with bad_network(graph.url, Weather(down_rate=2_000.0)) as (url, _):
        async with contextlib.AsyncExitStack() as stack:
            beside = await stack.enter_async_context(calling(graph.url, codec="pcm16"))
            await answered(beside, "before")
            before_mb = ingress.memory_full_info().uss / 1e6
            for _ in range(SLOW_READERS):
                await stack.enter_async_context(slow_reader(url))
            for word in ("one", "two", "three"):
                await answered(beside, word)
            held_mb = ingress.memory_full_info().uss / 1e6
        assert held_mb - before_mb < MORE_MB
    await until_calls(graph, 0)
