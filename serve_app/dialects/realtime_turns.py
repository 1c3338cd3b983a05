"""The `turn_detection` of a Realtime session: what its client set, and what it is told."""

from __future__ import annotations

from typing import Final

from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json

IDLE_TIMEOUT_RANGE_MS: Final = (5_000, 30_000)

_SERVER_VAD: Final[Json] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Final[Json] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


def patched(own: Json | None, wanted: Json, path: str) -> Json:
    """What the client set itself, with `wanted` merged in. Raises PeerError."""
    now = own or {}
    default = str(now.get("type", "server_vad"))
    kind = read.one_of(wanted, "type", f"{path}.type", ("server_vad", "semantic_vad"), default)
    known = _SERVER_VAD if kind == "server_vad" else _SEMANTIC_VAD
    merged: Json = dict(now) if now.get("type", kind) == kind else {}
    merged["type"] = kind
    for key in known:
        if key in wanted and key != "type":
            merged[key] = _value(wanted, key, f"{path}.{key}", known[key])
    return merged


def told(own: Json | None) -> Json:
    """The same, with the defaults of what the client left out."""
    set_by_client = own or {}
    semantic = set_by_client.get("type") == "semantic_vad"
    return {**(_SEMANTIC_VAD if semantic else _SERVER_VAD), **set_by_client}


def _value(wanted: Json, key: str, path: str, default: object) -> object:
    match key:
        case "create_response" | "interrupt_response":
            return read.flag(wanted, key, path, True)
        case "eagerness":
            return read.one_of(wanted, key, path, ("auto", "low", "medium", "high"), "auto")
        case "threshold":
            value = read.optional_number(wanted, key, path, 0, 1)
            return default if value is None else value
        case "idle_timeout_ms":
            value = read.optional_number(wanted, key, path, *IDLE_TIMEOUT_RANGE_MS)
            return default if value is None else round(value)
        case _:
            value = read.optional_number(wanted, key, path, 0, 600_000)
            return default if value is None else round(value)
