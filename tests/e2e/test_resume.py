"""Conversations that outlive the replica that held them, on real graphs with two ingresses."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from clients import events as told
from clients.returning import Backoff
from tests import redis_server
from tests.e2e.caller import Caller, calling
from tests.e2e.graph import Graph, running

pytestmark = pytest.mark.timeout(480)

CONFIG = """
proxy_location: HeadOnly
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - name: parley
    route_prefix: /
    import_path: tests.e2e.resume_graph:build
    args:
      stt: {backend: fixed}
      llm: {backend: rememberer}
      tts: {backend: steps}
      resume: RESUME
      limits: {max_lag_ms: 60000, max_voice_wait_ms: 60000}
"""
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
BACK_S = 30.0
NEWS_S = 3.0
CALLS = 6


@contextmanager
def kept(resume: str, front_door: str, directory: Path) -> Iterator[Graph]:
    """The graph of resume_graph.py, with these settings of `resume`."""
    config = directory / "resume.yaml"
    config.write_text(CONFIG.replace("RESUME", resume))
    with running(config, front_door, directory) as graph:
        yield graph


@pytest.fixture(scope="module", params=["fast, memory", "default, redis"])
def graph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Graph]:
    """Behind each front door, with a store of each kind."""
    front_door, store = request.param.split(", ")
    directory = tmp_path_factory.mktemp("resume")
    if store == "memory":
        with kept("{store: memory}", front_door, directory) as graph:
            yield graph
        return
    with (
        redis_server.running(directory) as url,
        kept(f"{{store: redis, redis_url: '{url}'}}", front_door, directory) as graph,
    ):
        yield graph


class Call:
    """One connection, and what was said on it so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []

    async def until(self, kind: str, limit_s: float = 30.0) -> dict[str, Any]:
        """The next message of a kind; sound is passed over."""
        async with asyncio.timeout(limit_s):
            while True:
                message = await self.socket.recv()
                if isinstance(message, str):
                    self.told.append(json.loads(message))
                    if self.told[-1]["type"] == kind:
                        return self.told[-1]

    async def until_sound(self) -> None:
        """The next piece of a reply's sound."""
        async with asyncio.timeout(15):
            while (message := await self.socket.recv())[:1] != b"\x01":
                if isinstance(message, str):
                    self.told.append(json.loads(message))

    async def say(self, text: str) -> None:
        """A typed turn."""
        await self.socket.send(json.dumps({"type": "text", "text": text}))

    async def close_code(self) -> int | None:
        """How the server ended it."""
        try:
            async with asyncio.timeout(20):
                while True:
                    await self.socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


@asynccontextmanager
async def connected(graph: Graph, token: str | None = None) -> AsyncIterator[Call]:
    """A connection, tried for as long as replicas may take to be back."""
    url = f"{graph.url}?codec=pcm16" + (f"&resume={token}" if token else "")
    async with asyncio.timeout(BACK_S):
        while True:
            try:
                socket = await connect(url, compression=None, open_timeout=5, close_timeout=1)
                break
            except (OSError, InvalidHandshake, TimeoutError):
                await asyncio.sleep(0.1)
    async with socket:
        yield Call(socket)


async def _noticed(callers: list[Caller]) -> bool:
    """Whether a call lost its connection within the time that its news takes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NEWS_S):
            while not _still_away(callers):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return True
    return False


def _still_away(callers: list[Caller]) -> bool:
    """A call lost its connection, and is not back."""
    return any(len(c.of(told.Reconnecting)) > len(c.of(told.Resumed)) for c in callers)


async def test_one_of_two_ingresses_is_killed(graph: Graph) -> None:
    """Its calls come back at the other by themselves, each to its own conversation; the other's
    calls notice nothing."""
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(calling(graph.url, codec="pcm16", reconnect=Backoff()))
            for _ in range(CALLS)
        ]
        for number, caller in enumerate(opened):
            await caller.client.send_text(f"word{number}")
            await caller.until_a(told.ReplyDone)
            caller.events.clear()
        for victim in graph.replicas("Ingress"):  # One may hold none of the calls.
            victim.send_signal(signal.SIGKILL)
            if await _noticed(opened):
                break
        # What is sent in the moment between a death and its news is lost with the replica.
        async with asyncio.timeout(2 * BACK_S):
            while _still_away(opened):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        for number, caller in enumerate(opened):
            await caller.client.send_text(f"more{number}")
            await caller.until(_says(f"You said word{number} and then more{number}."), 30)
        came_back = [caller for caller in opened if caller.of(told.Reconnecting)]
        assert came_back
        for caller in came_back:
            (resumed,) = caller.of(told.Resumed)
            assert resumed.turns == 1


def _says(text: str) -> Callable[[object], bool]:
    return lambda event: isinstance(event, told.ReplyDone) and event.heard == text


async def test_both_are_killed_in_mid_reply(graph: Graph) -> None:
    """The conversation outlives them: the caller hears the rest of the reply, and is known."""
    async with connected(graph) as call:
        token = (await call.until("ready"))["resume"]
        await call.say("apples")
        await call.until("reply_done")
        await call.say(LONG)
        await call.until_sound()
        await call.until_sound()
        await asyncio.sleep(3)  # What a caller hears of it.
        for process in graph.replicas("Ingress"):
            process.send_signal(signal.SIGKILL)
        assert await call.close_code() != 1000
    async with connected(graph, token) as call:
        ready = await call.until("ready")
        assert ready["resume"] == token
        resumed = await call.until("resumed")
        assert (resumed["turns"], resumed["last_turn"]) == (2, LONG)
        assert resumed["heard"].startswith("You said apples and then one")
        rest = await call.until("reply_text")
        whole = f"You said apples and then {LONG}."
        assert f"{resumed['heard']} {rest['delta']}" == whole
        await call.until_sound()
        assert (await call.until("reply_done"))["heard"] == rest["delta"]
        await call.say("pears")
        text = await call.until("reply_text")
        assert text["delta"] == f"You said apples and then {LONG} and then pears."


async def test_redis_outlives_the_graph(tmp_path: Path) -> None:
    """Stopped as Ctrl-C stops it, and started again: the conversation is there."""
    with redis_server.running(tmp_path) as url:
        resume = f"{{store: redis, redis_url: '{url}'}}"
        with kept(resume, "fast", tmp_path) as graph:
            async with connected(graph) as call:
                token = (await call.until("ready"))["resume"]
                await call.say("apples")
                await call.until("reply_done")
        with kept(resume, "fast", tmp_path) as graph:
            async with connected(graph, token) as call:
                resumed = await call.until("resumed")
                assert (resumed["turns"], resumed["heard"]) == (1, "You said apples.")
                await call.say("pears")
                done = await call.until("reply_done")
    assert done["heard"] == "You said apples and then pears."


async def test_a_token_that_is_none(graph: Graph) -> None:
    """Said so after `ready`, and a new conversation begins under a new token."""
    async with connected(graph, "abc") as call:
        assert (await call.until("ready"))["resume"] not in (None, "abc")
        assert (await call.until("error"))["code"] == "resume_unavailable"
        await call.say("apples")
        assert (await call.until("reply_done"))["heard"] == "You said apples."
