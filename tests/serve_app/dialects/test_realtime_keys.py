"""Short-lived keys: given out, shown, forged, expired."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.dialects import realtime_keys
from serve_app.dialects.realtime import RealtimeDialect
from serve_app.dialects.routes import Keys, Post
from serve_app.errors import PeerError
from tests.serve_app.dialects.exchange import handshake

KEYS = Keys(b"secret")
NOW = handshake().now


def ask(**fields: Any) -> dict[str, Any]:
    """A key from the endpoint."""
    post = Post("/v1/realtime/client_secrets", {}, json.dumps(fields).encode(), NOW)
    return json.loads(realtime_keys.answer(post, KEYS).body)


def showing(key: str, **changes: Any):
    """A handshake of a browser that shows a key."""
    offered = f"realtime, openai-insecure-api-key.{key}"
    return replace(handshake(headers={"sec-websocket-protocol": offered}), **changes)


def test_a_key_opens_a_session_with_its_settings() -> None:
    """Those that it was asked for with."""
    key = ask(session={"type": "realtime", "instructions": "Be brief."})["value"]
    realtime_keys.check(showing(key), KEYS)
    dialect = RealtimeDialect(showing(key))
    assert dialect.request.opening.instructions == "Be brief."


@pytest.mark.parametrize(("seconds", "late"), [(None, 600), (10, 10)])
def test_a_key_expires(seconds: int | None, late: int) -> None:
    """To the second."""
    key = ask(expires_after={"seconds": seconds} if seconds else None)["value"]
    realtime_keys.check(showing(key, now=NOW + late - 1), KEYS)
    with pytest.raises(PeerError, match="expired") as caught:
        realtime_keys.check(showing(key, now=NOW + late), KEYS)
    assert (caught.value.code, caught.value.status, caught.value.close_code) == (
        "invalid_api_key",
        401,
        3000,
    )


def test_another_servers_key_is_refused() -> None:
    """It was signed with another secret."""
    key = ask()["value"]
    with pytest.raises(PeerError, match="not known"):
        realtime_keys.check(showing(key), Keys(b"other"))


@given(st.text())
def test_a_forged_key_is_refused(text: str) -> None:
    """Whatever it holds."""
    with pytest.raises(PeerError):
        realtime_keys.check(handshake(query={"api_key": f"ek_{text}"}), KEYS)


def test_a_key_says_what_it_was_made_with() -> None:
    """The id of the key that its maker showed."""
    post = Post("/", {}, b"", NOW, key_id="0123456789ab")
    key = json.loads(realtime_keys.answer(post, KEYS).body)["value"]
    assert realtime_keys.check(showing(key), KEYS) == "0123456789ab"
    assert realtime_keys.check(showing(ask()["value"]), KEYS) == ""


def test_the_body_may_be_empty() -> None:
    """Everything has a default."""
    post = Post("/", {}, b"", NOW)
    assert json.loads(realtime_keys.answer(post, KEYS).body)["expires_at"] == NOW + 600


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_after": {"seconds": 5}},
        {"session": {"type": "none"}},
        {"session": {"instructions": "x" * 5_000}},
        {"session": 1},
    ],
)
def test_wrong_wishes_are_refused(fields: dict[str, Any]) -> None:
    """They are named; nothing is signed."""
    with pytest.raises(PeerError):
        ask(**fields)


@given(st.binary())
def test_any_body_is_answered_or_refused(body: bytes) -> None:
    """By the typed error alone."""
    try:
        realtime_keys.answer(Post("/", {}, body, NOW), KEYS)
    except PeerError:
        return
