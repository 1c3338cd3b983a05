"""The OpenAI client against a real HTTP server that speaks the protocol, well and badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deployments.backends.llm_openai import OpenAI
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Message,
    Overloaded,
    ReplyRequest,
    TextDelta,
)

ASKED = ReplyRequest((Message("system", "Be brief."), Message("user", "Hello?")))


@dataclass
class Server:
    """What the server does, and what it saw."""

    words: list[str] = field(default_factory=lambda: ["Good ", "day", "."])
    status: int = 200
    endless: bool = False
    breaks: bool = False
    models: list[str] = field(default_factory=lambda: ["first-model", "second-model"])
    requests: list[dict[str, object]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line]
        fields = {name.lower(): value for name, value in lines}
        self.keys.append(fields.get("authorization", ""))
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        if head.startswith("GET"):
            data = [
                {"id": m, "object": "model", "created": 1, "owned_by": "t"} for m in self.models
            ]
            _respond(writer, 200, json.dumps({"object": "list", "data": data}))
        elif self.status != 200:
            self.requests.append(json.loads(body))
            _respond(writer, self.status, json.dumps({"error": {"message": "as told"}}))
        else:
            self.requests.append(json.loads(body))
            await self._stream(reader, writer)
        await writer.drain()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        _event(writer, {"role": "assistant", "content": ""})
        for word in self.words:
            _event(writer, {"content": word})
        if self.breaks:
            await writer.drain()
            raise ConnectionResetError
        if self.endless:
            await writer.drain()
            await reader.readexactly(1)  # raises as soon as the client goes
        _event(writer, None)
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")


def _respond(writer: asyncio.StreamWriter, status: int, body: str) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    writer.write(f"{head}\r\n\r\n{body}".encode())


def _event(writer: asyncio.StreamWriter, delta: dict[str, str] | None) -> None:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None}]
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    _chunk(writer, b"data: " + json.dumps({**event, "choices": choices}).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Server]:
    """The server at a free port of this machine."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listener.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that answers well."""
    async with listening(Server()) as server:
        yield server


@asynccontextmanager
async def client(server: Server, **settings: object) -> AsyncIterator[OpenAI]:
    """A loaded backend whose own server this is."""
    backend = OpenAI(base_url=server.url, **settings)  # type: ignore[arg-type]
    await backend.load()
    try:
        yield backend
    finally:
        await backend.close()
        # The client library leaves its inner generators to the collector; the loop closes them.
        for _ in range(20):
            await asyncio.sleep(0)


async def text_of(reply: AsyncIterator[TextDelta]) -> list[str]:
    """The pieces of a reply."""
    return [delta.text async for delta in reply]


async def test_reply_streams_what_the_server_writes(server: Server) -> None:
    """Every piece once, empty ones dropped; the request carries messages and settings."""
    async with client(server, model="m", temperature=0.1, max_tokens=5) as backend:
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]
    sent = server.requests[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.1, 5)
    assert sent["stream"] is True


async def test_closing_the_reply_closes_the_connection(server: Server) -> None:
    """The server sees the caller's interruption, and the next reply works."""
    server.endless = True
    async with client(server) as backend:
        async with aclosing(backend.reply(ASKED)) as reply:  # type: ignore[type-var]
            await anext(reply)
        await asyncio.wait_for(server.gone.wait(), 5)
        server.endless = False
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]


async def test_cancelling_the_reader_closes_the_connection(server: Server) -> None:
    """A cancelled task leaves nothing running at the server."""
    server.endless = True
    async with client(server) as backend:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await text_of(backend.reply(ASKED))
        await asyncio.wait_for(server.gone.wait(), 5)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, BadInput),
        (422, BadInput),
        (429, Overloaded),
        (503, Overloaded),
        (401, BackendError),
        (500, BackendError),
    ],
)
async def test_errors_are_told_apart(
    server: Server, status: int, error: type[BackendError]
) -> None:
    """What the server answers becomes the stage's own errors, asked just once."""
    server.status = status
    async with client(server) as backend:
        with pytest.raises(error) as caught:
            await text_of(backend.reply(ASKED))
    assert type(caught.value) is error
    assert len(server.requests) == 1


async def test_a_server_that_breaks_off_is_an_error(server: Server) -> None:
    """A reply cut in the middle gives what came, and then fails."""
    server.breaks = True
    async with client(server) as backend:
        reply = backend.reply(ASKED)
        assert [(await anext(reply)).text for _ in range(3)] == ["Good ", "day", "."]
        with pytest.raises(BackendError):
            await anext(reply)


async def test_no_server_is_an_error(server: Server) -> None:
    """A refused connection is a failure of the stage, not of the request."""
    async with client(server) as backend:
        nowhere = ReplyRequest(ASKED.messages, server_url="http://127.0.0.1:1/v1")
        with pytest.raises(BackendError) as caught:
            await text_of(backend.reply(nowhere))
    assert type(caught.value) is BackendError


async def test_a_silent_server_times_out(server: Server) -> None:
    """A server that stops writing fails the reply after `timeout_s`."""
    server.endless = True
    async with client(server, timeout_s=0.3) as backend:
        with pytest.raises(BackendError):
            await text_of(backend.reply(ASKED))


async def test_another_server_gets_its_own_model_and_no_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call's own server is asked for its first model and never sees the operator's key."""
    monkeypatch.setenv("MY_KEY", "secret-key")
    async with (
        listening(Server(words=["Elsewhere."])) as other,
        client(server, api_key_env="MY_KEY") as backend,
    ):
        there = ReplyRequest(ASKED.messages, server_url=other.url)
        assert await text_of(backend.reply(there)) == ["Elsewhere."]
        assert await text_of(backend.reply(ASKED)) == ["Good ", "day", "."]
    assert other.requests[0]["model"] == "first-model"
    assert len(other.keys) == 2
    assert not any("secret-key" in key for key in other.keys)
    assert server.keys == ["Bearer secret-key"]


async def test_the_operators_other_variables_stay_here(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client library's own OPENAI_API_KEY does not reach a call's server either."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    async with listening(Server()) as other, client(server) as backend:
        await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=other.url)))
    assert not any("secret-key" in key for key in other.keys)


async def test_a_server_without_models_is_an_error(server: Server) -> None:
    """There is nothing to ask of it."""
    async with listening(Server(models=[])) as other, client(server) as backend:
        with pytest.raises(BackendError, match="lists no model"):
            await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=other.url)))


async def test_few_other_servers_are_kept(server: Server) -> None:
    """Callers who name ever new servers do not fill the memory."""
    async with client(server) as backend:
        for port in range(1, 30):
            url = f"http://127.0.0.1:{port}/v1"
            with pytest.raises(BackendError):
                await text_of(backend.reply(ReplyRequest(ASKED.messages, server_url=url)))
        assert len(backend._others) == 16


async def test_two_replies_at_once(server: Server) -> None:
    """Two callers' replies do not mix."""
    async with listening(Server(words=["B"] * 50)) as other, client(server) as backend:
        server.words = ["A"] * 50
        there = ReplyRequest(ASKED.messages, server_url=other.url)
        mine, theirs = await asyncio.gather(
            text_of(backend.reply(ASKED)), text_of(backend.reply(there))
        )
    assert (set(mine), set(theirs)) == ({"A"}, {"B"})


async def test_no_key_for_openai_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's own server wants a key: the message names the variable."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(LoadFailed, match="NO_SUCH_KEY"):
        await OpenAI(api_key_env="NO_SUCH_KEY").load()
