"""A whole ingress in this process: its real routes and its real calls, over stages of scripts.

async with open_ingress(auth={"keys_file": path}) as app, ring_up(app, "/ws") as line:
    assert (await line.next_json())["type"] == "ready"
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import httpx

from deployments.contracts import Cloning, StageInfo, TextDelta, Transcript, Voice
from tests.fake_handles import FakeHandle
from tests.fakes import spoken

with warnings.catch_warnings():
    # Ray trips over pydantic 2's deprecations while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray import serve

    from serve_app import stop_notice
    from serve_app.ingress import GRACE_S, Ingress, api
    from serve_app.settings import Settings

HOST = "127.0.0.1:8000"
STAGES: dict[str, Any] = {stage: {"backend": "fake"} for stage in ("stt", "llm", "tts")}


def handles() -> tuple[FakeHandle, FakeHandle, FakeHandle]:
    """Three stages that always say the same."""
    voices = (Voice("robot"),)
    return (
        FakeHandle(describe=[[StageInfo("fake")]], transcribe=[[Transcript("hello there")]]),
        FakeHandle(describe=[[StageInfo("fake")]], reply=[[TextDelta("Good morning.")]]),
        FakeHandle(
            describe=[[StageInfo("fake", voices=("robot",), cloning=Cloning(min_s=3.0))]],
            speak=[spoken("Good morning.")],
            voices=[[voices]],
            register_voice=[[Voice("anna", 1, 4.0)]],
            delete_voice=[[None]],
            voices_of=[[("anna",)]],
            voice_recording=[[b"RIFF"]],
        ),
    )


async def _nobody_stops(_told: Any) -> None:
    """Serve has nothing to say."""


@asynccontextmanager
async def open_ingress(grace_s: float = GRACE_S, **settings: Any) -> AsyncGenerator[Any, None]:
    """The ASGI application of one replica; `settings` beside the stages' own. One at a time."""
    # Kept conversations are with an actor of Serve's.
    whole = Settings.model_validate({**STAGES, "resume": {"store": "none"}, **settings})
    # What Serve wraps the class in wants a replica; the class itself does not.
    own: Any = Ingress.func_or_class.__mro__[1]
    replica = object.__new__(own)
    context = SimpleNamespace(servable_object=replica)
    with (
        patch.object(stop_notice, "graceful_shutdown_timeout_s", lambda: grace_s),
        patch.object(stop_notice, "follow", _nobody_stops),
        patch.object(serve, "get_replica_context", lambda: context),
    ):
        await own.__init__(replica, whole, *handles())
        await replica._warming
        try:
            yield api
        finally:
            # Serve ends a replica with its process.
            replica._watching.cancel()
            await asyncio.wait([replica._watching])
            if replica._archive:
                replica._archive.writer.close()


def replica_of(_app: Any) -> Any:
    """The replica whose application this is."""
    return serve.get_replica_context().servable_object


def web(app: Any, **headers: str) -> httpx.AsyncClient:
    """A client of its HTTP endpoints."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=headers)


class Line:
    """The client's end of a WebSocket: what came, how it was refused or closed."""

    def __init__(self, *, broken: bool = False) -> None:
        self.accepted = False
        self.answered = asyncio.Event()
        self.subprotocol: str | None = None
        self.status: int | None = None
        self.denied_with: dict[str, str] = {}
        self.body = b""
        self.closed_with: int | None = None
        self.broken = broken
        """The client left without a word: nothing reaches it."""
        self.missed = asyncio.Event()
        self._received: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent.put_nowait({"type": "websocket.connect"})

    def say(self, message: str | bytes) -> None:
        """Send a message."""
        key = "text" if isinstance(message, str) else "bytes"
        self._sent.put_nowait({"type": "websocket.receive", key: message})

    def hang_up(self) -> None:
        """Leave."""
        self._sent.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def next(self) -> str | bytes | None:
        """The next message; None once the server has closed or refused."""
        return await self._received.get()

    async def next_json(self) -> dict[str, Any]:
        """The next message that is text, as JSON. Fails where the server closed."""
        while not isinstance(message := await self.next(), str):
            assert message is not None, f"closed with {self.closed_with or self.status}"
        return json.loads(message)

    async def ended(self) -> list[str | bytes]:
        """What came until the server closed or refused."""
        received: list[str | bytes] = []
        while (message := await self.next()) is not None:
            received.append(message)
        return received

    async def receive(self) -> dict[str, Any]:
        """ASGI's."""
        return await self._sent.get()

    async def send(self, event: dict[str, Any]) -> None:
        """ASGI's."""
        if self.broken:
            self.missed.set()
            raise ConnectionResetError
        match event["type"]:
            case "websocket.accept":
                self.accepted, self.subprotocol = True, event.get("subprotocol")
                self.answered.set()
            case "websocket.send":
                text = event.get("text")
                self._received.put_nowait(text if text is not None else event["bytes"])
            case "websocket.http.response.start":
                self.status = event["status"]
                self.denied_with = {k.decode(): v.decode() for k, v in event["headers"]}
            case "websocket.http.response.body":
                self.body += event.get("body", b"")
                if not event.get("more_body"):
                    self._received.put_nowait(None)
                    self.answered.set()
            case "websocket.close":
                self.closed_with = event["code"]
                self._received.put_nowait(None)
                self.answered.set()
            case other:
                raise AssertionError(other)

    @property
    def code(self) -> str | None:
        """The code of the HTTP refusal."""
        return json.loads(self.body)["error"]["code"] if self.body else None


@asynccontextmanager
async def ring_up(
    app: Any,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    broken: bool = False,
    **headers: str,
) -> AsyncGenerator[Line, None]:
    """A WebSocket to it; the client leaves at the end, and the server must then be done."""
    line = Line(broken=broken)
    named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    offered = named.get("sec-websocket-protocol", "").split(",")
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query or {}).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [name.strip() for name in offered if name.strip()],
        "extensions": {"websocket.http.response": {}},
    }
    server = asyncio.create_task(app(scope, line.receive, line.send))
    try:
        yield line
    finally:
        line.hang_up()
        await asyncio.wait_for(server, 20)
