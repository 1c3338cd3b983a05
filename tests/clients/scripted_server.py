"""A server that speaks the native protocol through NativeDialect, from a script."""

from __future__ import annotations

import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.http11 import Request, Response

from serve_app.conversation.announcements import Announcement
from serve_app.conversation.events import AudioReceived
from serve_app.dialects.native import NativeDialect

_Event = TypeVar("_Event")


class Peer:
    """The server's side of one call."""

    def __init__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        query = dict(parse_qsl(urlsplit(socket.request.path).query))
        self.socket = socket
        self.dialect = NativeDialect(query)
        self.audio: list[bytes] = []

    async def say(self, *announcements: Announcement) -> None:
        """Send what the dialect makes of them."""
        for announcement in announcements:
            for message in self.dialect.encode(announcement):
                await self.socket.send(message)

    async def hear(self, kind: type[_Event]) -> _Event:
        """The next client event of this kind; audio on the way is kept in `audio`."""
        while True:
            for event in self.dialect.decode(await self.socket.recv()):
                if isinstance(event, AudioReceived):
                    self.audio.append(event.payload)
                if isinstance(event, kind):
                    return event


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[str]:
    """Run the script for each connection; yields the URL of `/ws`."""

    async def handle(socket: ServerConnection) -> None:
        await script(Peer(socket))

    async with serve_websocket(handle, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


@asynccontextmanager
async def refuse(
    status: int, body: str | None = None, retry_after: str | None = None
) -> AsyncIterator[str]:
    """Refuse every connection with an HTTP status; the default body is the protocol's."""
    text = body if body is not None else json.dumps({"error": {"code": "full", "message": "Later"}})

    def deny(socket: ServerConnection, _request: Request) -> Response:
        response = socket.respond(http.HTTPStatus(status), text)
        if retry_after is not None:
            response.headers["Retry-After"] = retry_after
        return response

    async def never(_socket: ServerConnection) -> None:
        raise AssertionError("a refused call was opened")

    async with serve_websocket(never, "127.0.0.1", 0, process_request=deny) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
