"""What a client of the native dialect says: its query and its JSON messages, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import orjson

from deployments.contracts import Tool
from serve_app.conversation.events import (
    ClientEvent,
    CommitRequested,
    ConfigChanged,
    HangUp,
    InterruptRequested,
    PlaybackReported,
    RecordingAnswered,
    TextTyped,
    ToolAnswered,
)
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.dialects.json_fields import TOOL_NAME
from serve_app.dialects.json_text import Json, invalid, load, quoted
from serve_app.errors import PeerError

MAX_TEXT_BYTES: Final = 64 * 1024
"""Longest JSON message, in bytes of UTF-8."""

MAX_TEXT_CHARS: Final = 8000
"""Longest typed turn and longest instructions, in characters."""

MAX_NAME_CHARS: Final = 100
"""Longest voice, language or reply id, in characters."""

ENDPOINT_RANGE_MS: Final = (100, 5000)
"""Least and longest `endpoint_ms` that a client may ask for."""

RATE_RANGE: Final = (8000, 48000)
"""Lowest and highest sample rate of `codec=pcm16`, in Hz."""

DEFAULT_RATE: Final = 16000
"""Sample rate of `codec=pcm16` where the query names none, in Hz."""

MAX_TOOLS: Final = 32
"""Tools that a client may declare."""

MAX_DESCRIPTION_CHARS: Final = 1000
"""Longest description of a tool, in characters."""

_TOOL_KEYS: Final = ("name", "description", "parameters")

_CONFIG_KEYS: Final = ("voice", "language", "instructions", "endpoint_ms", "tools")


def call_request(query: Mapping[str, str]) -> CallRequest:
    """What the query asks for; an empty value counts as absent, an unknown key is ignored.

    Raises PeerError (HTTP 400), which names the parameter that is wrong.
    """
    codec = query.get("codec") or "opus"
    match codec:
        case "opus":
            if query.get("rate"):
                raise _bad_query("rate is for codec=pcm16: an Opus packet needs none")
            uplink = AudioFormat("opus", None)
        case "pcm16":
            uplink = AudioFormat("pcm16", _rate(query.get("rate") or str(DEFAULT_RATE)))
        case _:
            raise _bad_query(f"codec must be opus or pcm16, not {quoted(codec)}")
    reply = query.get("reply") or "pcm16"
    match reply:
        case "opus" | "pcm16":
            downlink = AudioFormat(reply, None)
        case _:
            raise _bad_query(f"reply must be pcm16 or opus, not {quoted(reply)}")
    return CallRequest(
        uplink=uplink,
        downlink=downlink,
        voice=_query_name(query, "voice"),
        language=_query_name(query, "language"),
        llm_url=query.get("vllm_url") or None,
        resume=query.get("resume") or None,
        returns=True,
    )


def _rate(value: str) -> int:
    lowest, highest = RATE_RANGE
    # int() alone would take "1_6000", " 16000" and other scripts' digits.
    is_number = value.isascii() and value.isdigit() and len(value) <= len(str(highest))
    if not is_number or not lowest <= int(value) <= highest:
        raise _bad_query(
            f"rate must be a whole number from {lowest} to {highest}, not {quoted(value)}"
        )
    return int(value)


def _query_name(query: Mapping[str, str], key: str) -> str | None:
    value = query.get(key) or None
    if value is not None and len(value) > MAX_NAME_CHARS:
        raise _bad_query(f"{key} may have {MAX_NAME_CHARS} characters")
    return value


def client_event(message: str) -> ClientEvent:
    """The event of one JSON message.

    Raises PeerError: with close code 1009 where the message is too big, else without one.
    """
    return _event(load(message, MAX_TEXT_BYTES))


def _event(fields: Json) -> ClientEvent:
    kind = fields.get("type")
    match kind:
        case "text":
            return TextTyped(_typed_text(fields))
        case "interrupt":
            return InterruptRequested()
        case "commit":
            return CommitRequested()
        case "played":
            return _played(fields)
        case "config":
            return _config(fields)
        case "tool_result":
            return _tool_result(fields)
        case "record":
            return _record(fields)
        case "end":
            return HangUp()
        case str():
            raise invalid(f"unknown type {quoted(kind)}")
        case _:
            raise invalid("type must be a string")


def _typed_text(fields: Json) -> str:
    text = _string("text.text", fields.get("text"), MAX_TEXT_CHARS)
    if not text.strip():
        raise invalid("text.text must not be blank")
    return text


def _played(fields: Json) -> PlaybackReported:
    reply_id = _string("played.reply_id", fields.get("reply_id"), MAX_NAME_CHARS)
    match fields.get("ms"):
        case bool():
            raise invalid("played.ms must be a number")
        case int() | float() as played_ms if played_ms >= 0:
            return PlaybackReported(reply_id, float(played_ms))
        case int() | float():
            raise invalid("played.ms must not be negative")
        case _:
            raise invalid("played.ms must be a number")


def _record(fields: Json) -> RecordingAnswered:
    match fields.get("consent"):
        case bool(given):
            return RecordingAnswered(given)
        case _:
            raise invalid("record.consent must be true or false")


def _config(fields: Json) -> ConfigChanged:
    for key in fields:
        if key != "type" and key not in _CONFIG_KEYS:
            raise invalid(f"unknown config key {quoted(key)}: use {', '.join(_CONFIG_KEYS)}")
    return ConfigChanged(
        voice=_optional_string("config.voice", fields.get("voice"), MAX_NAME_CHARS),
        language=_optional_string("config.language", fields.get("language"), MAX_NAME_CHARS),
        instructions=_optional_string(
            "config.instructions", fields.get("instructions"), MAX_TEXT_CHARS
        ),
        endpoint_ms=_endpoint_ms(fields.get("endpoint_ms")),
        tools=_tools(fields.get("tools")),
    )


def _tools(value: object) -> tuple[Tool, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(cast("list[object]", value)) > MAX_TOOLS:
        raise invalid(f"config.tools must be a list of at most {MAX_TOOLS} tools")
    tools = tuple(_tool(item) for item in cast("list[object]", value))
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid("config.tools must not name a tool twice")
    return tools


def _tool(value: object) -> Tool:
    if not isinstance(value, dict):
        raise invalid("a tool of config.tools must be an object")
    fields = cast("Json", value)
    for key in fields:
        if key not in _TOOL_KEYS:
            raise invalid(f"unknown key {quoted(key)} of a tool: use {', '.join(_TOOL_KEYS)}")
    name = _string("a tool's name", fields.get("name"), MAX_NAME_CHARS)
    if not TOOL_NAME.fullmatch(name):
        raise invalid("a tool's name must be 1 to 64 of A-Z, a-z, 0-9, _ and -")
    description = fields.get("description", "")
    tool = Tool(name, _string("a tool's description", description, MAX_DESCRIPTION_CHARS))
    if "parameters" not in fields:
        return tool
    if not isinstance(fields["parameters"], dict):
        raise invalid("a tool's parameters must be a JSON schema, an object")
    return replace(tool, parameters_json=orjson.dumps(fields["parameters"]).decode())


def _tool_result(fields: Json) -> ToolAnswered:
    call_id = _string("tool_result.call_id", fields.get("call_id"), MAX_NAME_CHARS)
    return ToolAnswered(
        call_id, _string("tool_result.result", fields.get("result"), MAX_TEXT_BYTES)
    )


def _endpoint_ms(value: object) -> int | None:
    shortest, longest = ENDPOINT_RANGE_MS
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not shortest <= value <= longest:
        raise invalid(f"config.endpoint_ms must be a whole number from {shortest} to {longest}")
    return value


def _optional_string(name: str, value: object, longest: int) -> str | None:
    return None if value is None else _string(name, value, longest)


def _string(name: str, value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    if len(value) > longest:
        raise invalid(f"{name} may have {longest} characters")
    return value


def _bad_query(message: str) -> PeerError:
    return PeerError("invalid_request_error", message, status=400)
