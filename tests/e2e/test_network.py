"""Calls over networks that are late, lossy, narrow, dead or slow, on a real graph.

Beside those whose network is bad there is a call whose network is not: it must notice nothing.
What an ingress holds for a client is bounded, and is let go of.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clients import events as told
from clients.returning import Backoff
from clients.sample_voice import speak
from launcher.session import session_members
from tests.bad_network import Weather, bad_network
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import Graph, running
from tests.e2e.holdings import ENVIRONMENT, until_calls

pytestmark = pytest.mark.timeout(240)

CALLS = 4
RATE = 16_000
BACK_S = 60.0
"""A client that hears nothing notices it within 25 s (clients/connection.py), and comes back."""
GIVEN_UP_S = 75.0
"""A client that does not answer is given up 40 s after its last word: uvicorn pings after 20 s and
waits for 20 s. The rest is for a busy machine."""
MORE_MB = 64.0
"""What calls may cost the ingress while they are carried, all together. Five that are sent a
minute of speech and take next to none of it cost 41 MB: the speech is 15, in pieces on its way."""
ASKED = "this is said back to the very end"
LONG = " ".join(f"number {count}" for count in range(120))

WEATHERS = (
    Weather(latency_s=0.15, jitter_s=0.15),
    Weather(latency_s=0.03, jitter_s=0.02, loss_every=150),
    Weather(latency_s=0.03, up_rate=48_000.0, down_rate=64_000.0),
)
"""Late; lossy; narrow: a third wider than speech, which is 32 kB/s up and 48 kB/s down."""


def config(directory: Path) -> Path:
    """The graph of resume_graph.py with one ingress, as a file."""
    settings: dict[str, Any] = {
        "stt": {"backend": "fixed"},
        "llm": {"backend": "rememberer"},
        "tts": {"backend": "steps"},
        "limits": {"max_lag_ms": 60_000, "max_voice_wait_ms": 60_000},
    }
    application = {
        "name": "parley",
        "route_prefix": "/",
        "import_path": "tests.e2e.resume_graph:build",
        "args": settings,
        "deployments": [{"name": "Ingress", "num_replicas": 1}],
    }
    whole = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [application],
    }
    path = directory / "network.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture(scope="module", params=["fast", pytest.param("default", marks=pytest.mark.soak)])
def graph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Graph]:
    """One ingress behind HAProxy or Serve's own proxy, whose gauges are fresh."""
    directory = tmp_path_factory.mktemp("network")
    with running(config(directory), request.param, directory, environment=ENVIRONMENT) as graph:
        yield graph


def held_mb(graph: Graph) -> float:
    """Memory that is the ingress's alone."""
    return graph.replica("Ingress").memory_full_info().uss / 1e6


async def hear_whole(caller: Caller, text: str) -> told.ReplyDone:
    """Type something; the answer to it is heard to its end, all of its sound."""
    caller.events.clear()
    await caller.client.send_text(text)
    done = await caller.until_a(told.ReplyDone, 40)
    assert done.status == "completed"
    audio = [event for event in caller.of(told.Audio) if event.reply_id == done.reply_id]
    assert sum(len(event.pcm) / 2 / event.rate for event in audio) > len(done.heard) * 0.05
    return done


@contextlib.asynccontextmanager
async def undisturbed(graph: Graph) -> AsyncGenerator[None, None]:
    """A call whose network is good, beside what is in the block: reply after reply is heard whole,
    the last of them begun after it. The ingress holds no more than it may meanwhile, and no call
    afterwards."""
    async with calling(graph.url, codec="pcm16") as caller:
        await hear_whole(caller, "before")
        before_mb = held_mb(graph)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_talk_until(over, caller))
            yield
            assert held_mb(graph) < before_mb + MORE_MB
            over.set()
        await hear_whole(caller, "after")
    await until_calls(graph, 0)


async def _talk_until(over: asyncio.Event, caller: Caller) -> None:
    while not over.is_set():
        await hear_whole(caller, "on")


@contextlib.asynccontextmanager
async def several(url: str, calls: int = CALLS) -> AsyncGenerator[list[Caller], None]:
    """Calls of the client library, each in a conversation of its own."""
    async with contextlib.AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(calling(url, codec="pcm16", reconnect=Backoff()))
            for _ in range(calls)
        ]
        async with asyncio.TaskGroup() as tasks:
            for number, caller in enumerate(callers):
                tasks.create_task(hear_whole(caller, f"word{number}"))
        yield callers


async def mid_reply(callers: list[Caller]) -> None:
    """Each is in the middle of an answer."""

    async def one(caller: Caller) -> None:
        caller.events.clear()
        await caller.client.send_text(ASKED)
        await caller.until_a(told.Audio)

    async with asyncio.TaskGroup() as tasks:
        for caller in callers:
            tasks.create_task(one(caller))


async def come_back(callers: list[Caller]) -> None:
    """Each has lost its connection, comes back by itself, and knows all that was said."""

    async def one(number: int, caller: Caller) -> None:
        await caller.until_a(told.Reconnecting, BACK_S)
        resumed = await caller.until_a(told.Resumed, BACK_S)
        assert resumed.turns == 2
        assert resumed.last_turn == ASKED
        # The server may still be at the last answer, or have said it to nobody.
        await caller.client.send_text(f"more{number}")
        done = await caller.until(
            lambda event: isinstance(event, told.ReplyDone) and "more" in event.heard, BACK_S
        )
        assert done.status == "completed"
        assert done.heard == f"You said word{number} and then {ASKED} and then more{number}."

    async with asyncio.TaskGroup() as tasks:
        for number, caller in enumerate(callers):
            tasks.create_task(one(number, caller))


async def test_what_is_said_gets_through(graph: Graph) -> None:
    """Speech and typing are answered whole, in the conversation that they belong to; no connection
    is lost."""
    speech = await asyncio.to_thread(speak, "Stop it please", RATE)

    async def one(number: int, caller: Caller) -> None:
        caller.events.clear()
        await caller.speak(speech, RATE)
        async with caller.listening(RATE):
            spoken = await caller.until_a(told.ReplyDone, 60)
        assert spoken.heard == f"You said word{number} and then stop it please."
        typed = await hear_whole(caller, f"more{number}")
        assert typed.heard == f"{spoken.heard[:-1]} and then more{number}."
        assert not caller.of(told.Reconnecting)

    async def over(weather: Weather) -> None:
        async with (
            bad_network(graph.url, weather) as (url, _),
            several(url, 2) as callers,
            asyncio.TaskGroup() as tasks,
        ):
            for number, caller in enumerate(callers):
                tasks.create_task(one(number, caller))

    async with undisturbed(graph), asyncio.TaskGroup() as tasks:
        for weather in WEATHERS:
            tasks.create_task(over(weather))


@pytest.mark.parametrize("fault", ["reset", "cut_short"])
async def test_connections_that_end_in_the_middle(graph: Graph, fault: str) -> None:
    """RST in mid-reply, FIN in mid-message: every client comes back to its own conversation."""
    async with undisturbed(graph), bad_network(graph.url) as (url, network):
        async with several(url) as callers:
            await mid_reply(callers)
            getattr(network, fault)()
            async with asyncio.TaskGroup() as tasks:
                for caller in callers:
                    tasks.create_task(caller.client.send_audio(bytes(RATE // 50 * 2)))
            await come_back(callers)
            await until_calls(graph, 1 + CALLS)
        await until_calls(graph, 1)


@pytest.mark.soak
async def test_who_answers_no_more_or_reads_too_slowly(graph: Graph) -> None:
    """Clients of the library notice that their connection is half-open, and come back. A client
    that never does is given up, and so are those that read at a crawl."""
    slow, fine = Weather(down_rate=2_000.0), Weather()
    async with (
        undisturbed(graph),
        bad_network(graph.url, slow) as (slow_url, _),
        bad_network(graph.url, fine) as (url, network),
        several(url) as callers,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(CALLS):
            await ask_for_much(await stack.enter_async_context(raw(slow_url)))
        await ask_for_much(await stack.enter_async_context(raw(url)))
        await mid_reply(callers)
        await until_calls(graph, 2 + 2 * CALLS)
        network.freeze()
        await come_back(callers)
        await until_calls(graph, 1 + CALLS, GIVEN_UP_S)
        # Nor does the front door keep what is frozen. To slow readers it still sends what waits.
        async with asyncio.timeout(GIVEN_UP_S):
            while at_the_front_door(graph) > 1 + CALLS + CALLS:  # noqa: ASYNC110
                await asyncio.sleep(1.0)


def at_the_front_door(graph: Graph) -> int:
    """Connections of clients that HAProxy holds, or Serve's own proxy."""
    port = int(graph.host.rpartition(":")[2])
    return sum(
        connection.laddr.port == port and connection.status != psutil.CONN_LISTEN
        for process in session_members(graph.session)
        if process.name() == "haproxy" or "ProxyActor" in " ".join(process.cmdline())
        for connection in process.net_connections("tcp")
    )


@contextlib.asynccontextmanager
async def raw(url: str) -> AsyncGenerator[ClientConnection, None]:
    """A client that answers pings, sends none, and reads all that comes, at its full size: a tone
    that is deflated gets through anything."""
    plain: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 1}
    async with connect(f"{url}?codec=pcm16&reply=pcm16", **plain) as socket:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(socket))
            yield socket
            reading.cancel()
        socket.transport.abort()


async def _read(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):  # It is given up.
        while True:
            await socket.recv()


async def ask_for_much(socket: ClientConnection) -> None:
    """A reply of a minute."""
    await socket.send(json.dumps({"type": "text", "text": LONG}))
