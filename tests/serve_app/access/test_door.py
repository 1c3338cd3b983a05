"""The door as an ASGI layer: who comes in is known behind it, and counted out when done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from serve_app.access.door import Door, Doorkeeper, knock_of, visitor_of
from serve_app.access.gate import Visitor
from serve_app.access.key_ring import new_key
from serve_app.access.settings import AuthSettings, KeyLimits
from serve_app.dialects.routes import Keys
from serve_app.errors import ConfigError
from tests.ingress import STAGES, Ingress, Settings, ring_up, web


@pytest.fixture
def shown(tmp_path: Path) -> str:
    """A key of anna's, who may make one call at once."""
    key, line = new_key("phone", "anna", None, KeyLimits(calls=1))
    (tmp_path / "keys").write_text(line)
    return key


@pytest.fixture
def door(tmp_path: Path, shown: str) -> Door:
    """A door with that key, and no route."""
    del shown
    return Door(AuthSettings(keys_file=str(tmp_path / "keys")), Keys(bytes(16)), (), ())


def test_a_short_signing_key_is_refused(tmp_path: Path, door: Door) -> None:
    """Who guesses it could make keys; where none are asked for there is nothing to make."""
    del door
    with pytest.raises(ConfigError, match="too short"):
        Door(AuthSettings(keys_file=str(tmp_path / "keys")), Keys(bytes(15)), (), ())
    Door(AuthSettings(), Keys(bytes(15)), (), ())


async def test_the_owner_is_known_behind_it(door: Door, shown: str) -> None:
    """Of requests and of calls."""

    async def owner(request: Request) -> PlainTextResponse:
        return PlainTextResponse(visitor_of(request.scope).owner)

    app = Doorkeeper(Starlette(routes=[StarletteRoute("/x", owner)]), lambda: door)
    async with web(app, authorization=f"Bearer {shown}") as client:
        assert (await client.get("/x")).text == "anna"
    owners: list[str] = []

    async def socket(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        owners.append(visitor_of(scope).owner)
        await send({"type": "websocket.close", "code": 1000})

    async with ring_up(Doorkeeper(socket, lambda: door), "/x", authorization=f"Bearer {shown}"):
        pass
    assert owners == ["anna"]


async def test_a_call_that_breaks_is_counted_out(door: Door, shown: str) -> None:
    """The next may begin."""

    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        raise ZeroDivisionError

    keeper = Doorkeeper(breaks, lambda: door)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with ring_up(keeper, "/x", authorization=f"Bearer {shown}"):
                pass


async def test_a_path_of_nobody_is_refused_by_status(door: Door) -> None:
    """There is no dialect whose words it could be said in, and nothing behind it is asked."""

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError((scope, receive, send))

    keeper = Doorkeeper(never, lambda: door)
    for headers in ({}, {"origin": "https://evil.example"}):
        async with ring_up(keeper, "/nowhere", **headers) as line:
            await line.ended()
            assert line.status in (401, 403)
            assert not line.accepted


async def test_a_server_that_knows_no_denial_closes() -> None:
    """Then it answers 403 for us."""
    told: list[dict[str, Any]] = []

    async def send(event: Any) -> None:
        told.append(event)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    auth = AuthSettings(origins=("https://app.example.org",))
    door = Door(auth, Keys(bytes(16)), (), ())
    scope = {
        "type": "websocket",
        "path": "/x",
        "query_string": b"",
        "headers": [(b"origin", b"https://evil.example")],
    }
    await Doorkeeper(None, lambda: door)(scope, receive, send)  # type: ignore[arg-type]
    assert [event["type"] for event in told] == ["websocket.close"]


def test_a_root_path_is_not_part_of_the_path() -> None:
    """Serve puts an application's prefix before it."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/voice/healthz",
        "root_path": "/voice",
        "query_string": b"a=b",
        "headers": [(b"x", b"y")],
    }
    knock = knock_of(Request(scope))
    assert (knock.path, knock.query, knock.headers) == ("/healthz", {"a": "b"}, {"x": "y"})


def test_a_calls_handshake_names_its_owner() -> None:
    """What belongs to a call belongs to whoever's key it came with."""
    replica = object.__new__(Ingress.func_or_class.__mro__[1])
    replica._settings = Settings.model_validate(STAGES)
    scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": []}
    for visitor, owner in ((None, ""), (Visitor("anna"), "anna")):
        known = scope if visitor is None else {**scope, "parley.visitor": visitor}
        made = replica._handshake(WebSocket(known, None, None))  # type: ignore[arg-type]
        assert (made.owner, made.expires_at - made.now) == (owner, 3_600)
        assert made.call_id
