"""The page's files beside a server that follows a script: what a graph does on a bad day."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import uvicorn

from serve_app.audio.downlink import Downlink
from serve_app.conversation.announcements import Announcement, CallReady, ReplyAudio
from serve_app.dialects.native import NativeDialect
from serve_app.page import router

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from fastapi import FastAPI, WebSocket
    from fastapi.responses import JSONResponse
    from starlette.websockets import WebSocketDisconnect

_Event = TypeVar("_Event")


class Peer:
    """The server's side of one call."""

    def __init__(self, websocket: WebSocket) -> None:
        self.socket = websocket
        self.query = dict(websocket.query_params)
        self.dialect = NativeDialect(self.query)

    async def ready(self, *, recordable: bool = False) -> None:
        """The call is open."""
        await self.say(CallReady("c1", voice=None, language=None, recordable=recordable))

    async def say(self, *announcements: Announcement) -> None:
        """Send what the dialect makes of them."""
        for announcement in announcements:
            for message in self.dialect.encode(announcement):
                if isinstance(message, str):
                    await self.socket.send_text(message)
                else:
                    await self.socket.send_bytes(message)

    async def speak(self, reply_id: str, pcm: bytes, rate: int = 16_000) -> None:
        """Audio of a reply, in the codec that the page chose."""
        downlink = Downlink(self.dialect.request.downlink)
        for packet in [*downlink.encode(pcm, rate), *downlink.finish()]:
            await self.say(ReplyAudio(reply_id, packet.rate, packet.payload))

    async def hear(self, kind: type[_Event]) -> _Event:
        """The next event of a kind; the others are dropped."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            data = message.get("text") or message.get("bytes") or b""
            for event in self.dialect.decode(data):
                if isinstance(event, kind):
                    return event

    async def stay(self) -> None:
        """Until the client leaves."""
        with contextlib.suppress(WebSocketDisconnect):
            await self.hear(type(None))


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """What the page is served by. `readiness` is what /readyz says next."""

    def __init__(self, script: Script, readiness: dict[str, Any] | None = None) -> None:
        self.script = script
        self.readiness = readiness or {"ready": True, "stages": {}, "languages": ["de", "en"]}
        self.port = 0

    @property
    def url(self) -> str:
        """The page's address: loopback, so that the browser gives it a microphone."""
        return f"http://127.0.0.1:{self.port}/"

    def app(self) -> FastAPI:
        """The routes that the page uses."""
        app = FastAPI()
        app.include_router(router)

        @app.get("/readyz")
        async def readyz() -> JSONResponse:
            return JSONResponse(self.readiness, 200 if self.readiness["ready"] else 503)

        @app.get("/v1/audio/voices")
        async def voices() -> dict[str, Any]:
            return {"data": [{"name": "anna"}, {"name": "en-us"}]}

        @app.websocket("/ws")
        async def call(websocket: WebSocket) -> None:
            offered = websocket.scope["subprotocols"]
            await websocket.accept("parley" if "parley" in offered else None)
            with contextlib.suppress(WebSocketDisconnect):
                await self.script(Peer(websocket))

        return app


@contextlib.asynccontextmanager
async def serving(script: Script, readiness: dict[str, Any] | None = None) -> AsyncIterator[Server]:
    """The server, on a port of its own."""
    server = Server(script, readiness)
    config = uvicorn.Config(
        server.app(), lifespan="off", log_level="warning", ws="websockets-sansio"
    )
    running = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    server.port = listening.getsockname()[1]
    # The socket takes connections from here on, so nobody has to wait for uvicorn.
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield server
    finally:
        running.should_exit = running.force_exit = True
        await task
        listening.close()


async def polite(peer: Peer) -> None:
    """A script: takes the call and says nothing."""
    await peer.ready()
    await peer.stay()


def tone(ms: int, rate: int = 16_000) -> bytes:
    """A quiet 440 Hz tone: int16 samples."""
    count = rate * ms // 1000
    return struct.pack(
        f"<{count}h",
        *(round(6000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(count)),
    )
