"""Short-lived keys for browsers: `POST /v1/realtime/client_secrets`, and the check of such a key.

A key carries its end, its session's settings and the id of the key it was made with, and is signed
(HMAC-SHA256), so that any replica with the same signing key knows it without having stored it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import orjson

from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, dump, invalid, load
from serve_app.dialects.realtime_session import Session
from serve_app.dialects.routes import Handshake, Keys, Page, Post
from serve_app.errors import PeerError

PREFIX: Final = "ek_"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_SESSION_BYTES: Final = 4 * 1024
"""Of the settings in a key: it must pass as a header."""
LIFETIME_S: Final = 600
LIFETIME_RANGE_S: Final = (10, 7_200)


def answer(post: Post, keys: Keys) -> Page:
    """A new key, and the session it is for. Raises PeerError."""
    text = post.body[: MAX_BODY_BYTES + 1].decode("utf-8", "replace")
    fields = load(text or "{}", MAX_BODY_BYTES)
    expiry = read.record(fields, "expires_after", "expires_after")
    lifetime_s = read.optional_number(expiry, "seconds", "expires_after.seconds", *LIFETIME_RANGE_S)
    wanted = read.record(fields, "session", "session")
    session = Session().patched(wanted)
    if len(dump(wanted)) > MAX_SESSION_BYTES:
        raise invalid(f"session may have {MAX_SESSION_BYTES} bytes in a key", param="session")
    expires_at = post.now + round(lifetime_s or LIFETIME_S)
    carried: Json = {"expires_at": expires_at, "session": wanted, "made_with": post.key_id}
    value = PREFIX + _sealed(carried, keys.signing)
    told = session.told("", expires_at)
    return Page(
        dump({"value": value, "expires_at": expires_at, "session": told}).encode(),
        "application/json",
    )


def check(handshake: Handshake, keys: Keys) -> str:
    """The id of the key that the short-lived key shown was made with; "" where none was needed.

    Raises PeerError (HTTP 401) for one that is not ours, or has expired.
    """
    payload, _, signature = (handshake.key or "").removeprefix(PREFIX).partition(".")
    expected = _signature(payload, keys.signing)
    genuine = hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
    if not genuine:
        raise _refused("this key is not known here")
    fields = _opened(payload)
    expires_at, made_with = fields.get("expires_at"), fields.get("made_with")
    if not isinstance(expires_at, int) or expires_at <= handshake.now:
        raise _refused("this key has expired")
    return made_with if isinstance(made_with, str) else ""


def session_of(key: str | None) -> Json:
    """The settings that a key brings, once it was checked; none where it is another's."""
    if key is None or not key.startswith(PREFIX):
        return {}
    payload = key.removeprefix(PREFIX).partition(".")[0]
    return read.record(_opened(payload), "session", "session")


def _sealed(fields: Json, signing: bytes) -> str:
    payload = base64.urlsafe_b64encode(dump(fields).encode()).decode().rstrip("=")
    return f"{payload}.{_signature(payload, signing)}"


def _signature(payload: str, signing: bytes) -> str:
    digest = hmac.new(signing, payload.encode("utf-8", "replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _opened(payload: str) -> Json:
    try:
        text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return load(text.decode(), MAX_BODY_BYTES)
    except (binascii.Error, ValueError, orjson.JSONDecodeError) as error:
        raise _refused("this key is not known here") from error


def _refused(message: str) -> PeerError:
    return PeerError("invalid_api_key", message, close_code=3000, status=401)
