"""A real HTTP server that speaks the OpenAI chat protocol, well and badly, and what it saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Server:
    """What the server does, and what it saw."""

    words: list[str] = field(default_factory=lambda: ["Good ", "day", "."])
    status: int = 200
    error: dict[str, str] = field(default_factory=lambda: {"message": "as told"})
    endless: bool = False
    breaks: bool = False
    deltas: list[dict[str, object]] = field(default_factory=list)
    """Sent after the words, as they are."""
    models: list[str] = field(default_factory=lambda: ["first-model", "second-model"])
    requests: list[dict[str, object]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    connections: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        over = self.connections[writer] = asyncio.Event()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()
            over.set()

    async def hang_up(self) -> None:
        """Close the connections that clients keep."""
        for writer, over in self.connections.items():
            writer.close()
            await over.wait()

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
            _respond(writer, self.status, json.dumps({"error": self.error}))
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
        for delta in self.deltas:
            _event(writer, delta)
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


def _event(writer: asyncio.StreamWriter, delta: Mapping[str, object] | None) -> None:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None}]
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    _chunk(writer, b"data: " + json.dumps({**event, "choices": choices}).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@asynccontextmanager
async def listening(server: Server, port: int = 0) -> AsyncIterator[Server]:
    """The server at a port of this machine; 0 takes any that is free."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listener.close()
        await server.hang_up()
