"""Conversations that outlive the replica that held them, on real graphs with two ingresses."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.e2e.graph import Graph, running

pytestmark = pytest.mark.timeout(240)

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
"""
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
BACK_S = 30.0


@pytest.fixture(scope="module")
def graph(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Conversations are kept in memory."""
    directory = tmp_path_factory.mktemp("resume")
    config = directory / "resume.yaml"
    config.write_text(CONFIG.replace("RESUME", "{store: memory}"))
    with running(config, front_door, directory) as graph:
        yield graph


class Call:
    """One connection, and what was said on it so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []

    async def until(self, kind: str, limit_s: float = 15.0) -> dict[str, Any]:
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
async def calling(graph: Graph, token: str | None = None) -> AsyncIterator[Call]:
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


def holder(graph: Graph) -> psutil.Process:
    """The ingress replica that a call is at: the one with a second connection of the client's."""
    counts = {p: connections(p) for p in graph.replicas("Ingress")}
    return max(counts, key=lambda process: counts[process])


def connections(process: psutil.Process) -> int:
    """Sockets with a peer."""
    return sum(one.status == psutil.CONN_ESTABLISHED for one in process.net_connections("tcp"))


async def test_a_killed_ingress_loses_no_conversation(graph: Graph) -> None:
    """SIGKILL in mid-reply: at the other replica the caller hears the rest, and is known."""
    async with calling(graph) as call:
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
    async with calling(graph, token) as call:
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
