"""The native protocol on the wire, seen from the client: server messages in, JSON out. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias, TypeVar, cast

from clients.events import (
    BinaryEvent,
    ErrorBytes,
    Final,
    Flush,
    JsonEvent,
    Moving,
    Partial,
    Payload,
    Phrase,
    Ready,
    Recording,
    ReplyDone,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    Resumed,
    ServerError,
    SpeechStarted,
    SpeechStopped,
    Timings,
    ToolCall,
    TranscriptBytes,
    Unknown,
    Word,
)

_Value = TypeVar("_Value")
_Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Tool:
    """What this client can do for the model; `parameters` is the JSON schema of the arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )


class BadMessage(ValueError):
    """The server sent what its protocol does not have."""


def text_message(text: str) -> str:
    """A typed turn."""
    return json.dumps({"type": "text", "text": text})


def command_message(command: Literal["interrupt", "commit", "end"]) -> str:
    """A message that is its type alone."""
    return json.dumps({"type": command})


def played_message(reply_id: str, played_ms: float) -> str:
    """How much of a reply has been played, in ms of its audio."""
    return json.dumps({"type": "played", "reply_id": reply_id, "ms": round(played_ms)})


def record_message(consent: bool) -> str:
    """Whether the caller agrees that the call is recorded from now on."""
    return json.dumps({"type": "record", "consent": consent})


def tools_message(tools: Sequence[Tool]) -> str:
    """The tools that this client runs from now on."""
    return json.dumps({"type": "config", "tools": [asdict(tool) for tool in tools]})


def tool_result_message(call_id: str, result: str) -> str:
    """What a tool gave."""
    return json.dumps({"type": "tool_result", "call_id": call_id, "result": result})


def parse(message: str | bytes) -> JsonEvent | BinaryEvent:
    """The event that a server message stands for. Raises BadMessage."""
    return _json_event(message) if isinstance(message, str) else _binary_event(message)


def _binary_event(message: bytes) -> BinaryEvent:
    tag, body = message[:1], message[1:]
    match tag:
        case b"\x01" | b"\x04":
            if len(body) < 4:
                raise BadMessage("an audio message without a sample rate")
            (rate,) = struct.unpack_from("<I", body)
            pcm = tag == b"\x01"
            if rate == 0 or (pcm and len(body) % 2):
                raise BadMessage("an audio message with rate 0 or half a sample")
            return Payload("pcm16" if pcm else "opus", rate, body[4:])
        case b"\x02":
            return TranscriptBytes(_text(body))
        case b"\x03":
            return ErrorBytes(_text(body))
        case _:
            raise BadMessage(f"a binary message that begins with {tag!r}")


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadMessage("text that is not UTF-8") from error


def _json_event(message: str) -> JsonEvent:
    try:
        parsed: object = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadMessage("a text message that is not JSON") from error
    if not isinstance(parsed, dict):
        raise BadMessage("a text message that is not a JSON object")
    return _event(cast("_Json", parsed))


def _event(fields: _Json) -> JsonEvent:
    match _get(fields, "type", str):
        case "ready":
            return _ready(fields)
        case "resumed":
            return _resumed(fields)
        case "moving":
            return Moving(_get(fields, "resume", str))
        case "speech_started":
            return SpeechStarted(_get(fields, "at_ms", int))
        case "speech_stopped":
            return SpeechStopped(_get(fields, "at_ms", int))
        case "partial":
            return Partial(_get(fields, "text", str))
        case "final":
            return _final(fields)
        case "timings":
            return _timings(fields)
        case "recording":
            return Recording(_get(fields, "on", bool), _optional_number(fields, "keep_days"))
        case "error":
            return ServerError(_get(fields, "code", str), _get(fields, "message", str))
        case kind:
            return _reply_event(kind, fields)


def _reply_event(kind: str, fields: _Json) -> JsonEvent:
    match kind:
        case "reply_started":
            return ReplyStarted(_get(fields, "reply_id", str))
        case "reply_text":
            return ReplyText(_get(fields, "reply_id", str), _get(fields, "delta", str))
        case "phrase":
            return _phrase(fields)
        case "flush":
            return Flush(_get(fields, "reply_id", str))
        case "reply_resumed":
            return ReplyResumed(_get(fields, "reply_id", str), _get(fields, "from_ms", int))
        case "reply_done":
            return _reply_done(fields)
        case "tool_call":
            return _tool_call(fields)
        case _:
            return Unknown(kind)


def _ready(fields: _Json) -> Ready:
    uplink = cast("_Json", _get(fields, "uplink", dict))
    reply = cast("_Json", _get(fields, "reply", dict))
    return Ready(
        call_id=_get(fields, "call_id", str),
        voice=_optional(fields, "voice", str),
        language=_optional(fields, "language", str),
        uplink_codec=_get(uplink, "codec", str),
        uplink_rate=_optional(uplink, "rate", int),
        reply_codec=_get(reply, "codec", str),
        resume=_optional(fields, "resume", str),
        resume_s=_optional_number(fields, "resume_s"),
        recordable=bool(_optional(fields, "recordable", bool)),
    )


def _resumed(fields: _Json) -> Resumed:
    return Resumed(
        _get(fields, "turns", int),
        _get(fields, "messages", int),
        _get(fields, "last_turn", str),
        _get(fields, "heard", str),
    )


def _final(fields: _Json) -> Final:
    words = cast("list[object]", _optional(fields, "words", list) or [])
    return Final(
        _get(fields, "text", str),
        _get(fields, "start_ms", int),
        _get(fields, "end_ms", int),
        tuple(_word(word) for word in words),
    )


def _word(word: object) -> Word:
    if not isinstance(word, dict):
        raise BadMessage("a word that is not an object")
    fields = cast("_Json", word)
    return Word(
        _get(fields, "text", str),
        _get(fields, "start_ms", int),
        _get(fields, "end_ms", int),
        _number(fields, "confidence"),
    )


def _phrase(fields: _Json) -> Phrase:
    return Phrase(
        _get(fields, "reply_id", str), _get(fields, "text", str), _get(fields, "start_ms", int)
    )


def _reply_done(fields: _Json) -> ReplyDone:
    match _get(fields, "status", str):
        case "completed" | "interrupted" | "failed" as status:
            return ReplyDone(_get(fields, "reply_id", str), status, _get(fields, "heard", str))
        case status:
            raise BadMessage(f"a reply with status {status!r}")


def _tool_call(fields: _Json) -> ToolCall:
    return ToolCall(
        _get(fields, "reply_id", str),
        _get(fields, "call_id", str),
        _get(fields, "name", str),
        cast("_Json", _get(fields, "arguments", dict)),
    )


def _timings(fields: _Json) -> Timings:
    return Timings(
        reply_id=_get(fields, "reply_id", str),
        pause_ms=_number(fields, "pause_ms"),
        stt_ms=_number(fields, "stt_ms"),
        llm_ms=_number(fields, "llm_ms"),
        tts_ms=_number(fields, "tts_ms"),
        pipeline_ms=_number(fields, "pipeline_ms"),
    )


def _get(fields: _Json, key: str, kind: type[_Value]) -> _Value:
    value = fields.get(key)
    if not isinstance(value, kind):
        raise BadMessage(f"a {fields.get('type')} message whose {key} is not {kind.__name__}")
    return value


def _optional(fields: _Json, key: str, kind: type[_Value]) -> _Value | None:
    return None if fields.get(key) is None else _get(fields, key, kind)


def _optional_number(fields: _Json, key: str) -> float | None:
    return None if fields.get(key) is None else _number(fields, key)


def _number(fields: _Json, key: str) -> float:
    value = fields.get(key)
    if isinstance(value, int) and abs(value) < 2**53:
        return float(value)
    return _get(fields, key, float)
