"""The native dialect of `/ws`, whose specification is docs/protocol-native.md.

The server's messages are written here; what a client says is read in `native_input`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, TypeAlias, assert_never

import orjson

from deployments.contracts import Word
from serve_app.conversation.announcements import (
    Announcement,
    CallError,
    CallReady,
    ConversationResumed,
    FinalTranscript,
    Moving,
    PartialTranscript,
    PhraseBegun,
    RecordingChanged,
    ReplyAudio,
    ReplyDone,
    ReplyFlushed,
    ReplyResumed,
    ReplyStarted,
    ReplyText,
    SilenceTimedOut,
    SpeechStarted,
    SpeechStopped,
    ToolCalled,
    TurnTimings,
    VoiceRegistered,
)
from serve_app.conversation.events import AudioReceived, ClientEvent
from serve_app.dialects import CallRequest
from serve_app.dialects.json_text import dump, too_big, utf8
from serve_app.dialects.native_input import call_request, client_event
from serve_app.dialects.routes import Route
from serve_app.errors import PeerError

MAX_BINARY_BYTES: Final = 1024 * 1024
"""Longest audio message, in bytes."""

_PCM, _TRANSCRIPT, _ERROR, _OPUS = b"\x01", b"\x02", b"\x03", b"\x04"

_Json: TypeAlias = Mapping[str, object]


def refusal(error: PeerError) -> list[str | bytes]:
    """Why there is no call, in both forms."""
    fields: dict[str, object] = {"type": "error", "code": error.code, "message": error.message}
    if error.retry_after_s is not None:
        fields["retry_after_s"] = error.retry_after_s
    return [dump(fields), _ERROR + utf8(error.message)]


class NativeDialect:
    """The native protocol on one socket."""

    def __init__(self, query: Mapping[str, str]) -> None:
        """Read the connection's query; an empty value counts as absent, an unknown key is ignored.

        Raises PeerError (HTTP 400), which names the parameter that is wrong.
        """
        self.request: CallRequest = call_request(query)

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """The events of one message; an empty audio message has none.

        Raises PeerError: with close code 1009 where the message is too big, else without one.
        """
        if isinstance(message, str):
            return [client_event(message)]
        if len(message) > MAX_BINARY_BYTES:
            raise too_big(f"an audio message may have {MAX_BINARY_BYTES} bytes")
        return [AudioReceived(message)] if message else []

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """The messages of an announcement: its JSON, its binary form, or both in that order."""
        match announcement:
            case ReplyAudio(rate=rate, payload=payload):
                tag = _OPUS if self.request.downlink.codec == "opus" else _PCM
                return [tag + struct.pack("<I", rate) + payload]
            case FinalTranscript(text=text) as final:
                messages: list[str | bytes] = [dump(_final(final))]
                if text:
                    messages.append(_TRANSCRIPT + utf8(text))
                return messages
            case CallError(code=code, message=message):
                return _error(code, message)
            case CallReady() as ready:
                return [dump(_ready(ready, self.request))]
            case ConversationResumed() as resumed:
                return [dump({"type": "resumed", **asdict(resumed)})]
            case VoiceRegistered():
                return []  # Voices are registered by HTTP here.
            case SilenceTimedOut():
                return []  # No client of this protocol can ask for it.
            case _:
                return [dump(_fields(announcement))]


_Plain: TypeAlias = (
    SpeechStarted
    | SpeechStopped
    | PartialTranscript
    | ReplyStarted
    | ReplyText
    | PhraseBegun
    | ReplyFlushed
    | ReplyResumed
    | ReplyDone
    | ToolCalled
    | TurnTimings
    | Moving
    | RecordingChanged
)
"""The announcements that are one JSON message each."""


def _fields(announcement: _Plain) -> _Json:
    match announcement:
        case SpeechStarted(at_ms=at_ms):
            return {"type": "speech_started", "at_ms": at_ms}
        case SpeechStopped(at_ms=at_ms):
            return {"type": "speech_stopped", "at_ms": at_ms}
        case PartialTranscript(text=text):
            return {"type": "partial", "text": text}
        case ReplyStarted(reply_id=reply_id):
            return {"type": "reply_started", "reply_id": reply_id}
        case ReplyText(reply_id=reply_id, delta=delta):
            return {"type": "reply_text", "reply_id": reply_id, "delta": delta}
        case PhraseBegun(reply_id=reply_id, text=text, start_ms=start_ms):
            return {"type": "phrase", "reply_id": reply_id, "text": text, "start_ms": start_ms}
        case ReplyFlushed(reply_id=reply_id):
            return {"type": "flush", "reply_id": reply_id}
        case ReplyResumed(reply_id=reply_id, from_ms=from_ms):
            return {"type": "reply_resumed", "reply_id": reply_id, "from_ms": from_ms}
        case ReplyDone(reply_id=reply_id, status=status, heard=heard):
            return {"type": "reply_done", "reply_id": reply_id, "status": status, "heard": heard}
        case ToolCalled() as called:
            return _tool_call(called)
        case TurnTimings() as timings:
            return _timings(timings)
        case Moving(resume=token):
            return {"type": "moving", "resume": token}
        case RecordingChanged(on=on, keep_days=keep_days):
            return {"type": "recording", "on": on, "keep_days": keep_days}
        case _:
            assert_never(announcement)


def _error(code: str, message: str) -> list[str | bytes]:
    fields = {"type": "error", "code": code, "message": message}
    return [dump(fields), _ERROR + utf8(message)]


def _ready(ready: CallReady, request: CallRequest) -> _Json:
    return {
        "type": "ready",
        "call_id": ready.call_id,
        "voice": ready.voice,
        "language": ready.language,
        "resume": ready.resume,
        "resume_s": ready.resume_s,
        "recordable": ready.recordable,
        "uplink": {"codec": request.uplink.codec, "rate": request.uplink.rate},
        "reply": {"codec": request.downlink.codec, "played_unit": "ms"},
    }


def _final(final: FinalTranscript) -> _Json:
    fields: dict[str, object] = {
        "type": "final",
        "text": final.text,
        "start_ms": final.start_ms,
        "end_ms": final.end_ms,
    }
    if final.words:
        fields["words"] = [_word(word) for word in final.words]
    return fields


def _word(word: Word) -> _Json:
    return {
        "text": word.text,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "confidence": round(word.confidence, 3),
    }


def _tool_call(called: ToolCalled) -> _Json:
    return {
        "type": "tool_call",
        "reply_id": called.reply_id,
        "call_id": called.call_id,
        "name": called.name,
        "arguments": orjson.Fragment(utf8(called.arguments_json)),
    }


def _timings(timings: TurnTimings) -> _Json:
    return {
        "type": "timings",
        "reply_id": timings.reply_id,
        "pause_ms": round(timings.pause_ms, 1),
        "stt_ms": round(timings.stt_ms, 1),
        "llm_ms": round(timings.llm_ms, 1),
        "tts_ms": round(timings.tts_ms, 1),
        "pipeline_ms": round(timings.pipeline_ms, 1),
    }


ROUTE: Final = Route(
    "/ws", lambda handshake: NativeDialect(handshake.query), refusal, subprotocol="parley"
)
"""Where the native dialect is spoken. The subprotocol is for pages, which show a key in another."""
