"""Speech-to-text alone, on `/v1/asr`, whose specification is docs/protocol-services.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from serve_app.conversation.announcements import (
    Announcement,
    CallError,
    FinalTranscript,
    PartialTranscript,
    SpeechStarted,
    SpeechStopped,
)
from serve_app.conversation.events import AudioReceived, ClientEvent, ConfigChanged
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, dump, invalid, load, quoted, too_big
from serve_app.dialects.routes import Handshake, Route
from serve_app.errors import PeerError

MAX_TEXT_BYTES: Final = 64 * 1024
MAX_BINARY_BYTES: Final = 1024 * 1024
"""Longest message of audio, in bytes."""
MAX_NAME_CHARS: Final = 100
RATE_RANGE: Final = (8_000, 48_000)
"""Lowest and highest sample rate, in Hz."""
DEFAULT: Final = AudioFormat("f32", 16_000)
"""The audio of a client that sends no `config`."""


def refusal(error: PeerError) -> list[str | bytes]:
    """Why there is no call."""
    return [error_message(error.code, error.message)]


def error_message(code: str, message: str) -> str:
    """The message that says what went wrong."""
    return dump({"type": "error", "code": code, "message": message})


class TranscribeDialect:
    """One stream of speech, and what is said in it. Nobody answers."""

    def __init__(self) -> None:
        self.request: CallRequest = CallRequest(
            uplink=DEFAULT,
            downlink=AudioFormat("pcm16", None),
            opening=ConfigChanged(answers_turns=False),
        )
        self._partial = ""
        self._received_ms = 0.0

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """The events of one message; an empty audio message has none. Raises PeerError."""
        if isinstance(message, str):
            return [self._config(load(message, MAX_TEXT_BYTES))]
        if len(message) > MAX_BINARY_BYTES:
            raise too_big(f"an audio message may have {MAX_BINARY_BYTES} bytes")
        if not message:
            return []
        form = self.request.uplink
        sample_bytes = 4 if form.codec == "f32" else 2
        self._received_ms += len(message) / sample_bytes * 1000 / (form.rate or 1)
        return [AudioReceived(message)]

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """The message of an announcement; those about replies have none."""
        match announcement:
            case SpeechStarted(at_ms=at_ms):
                self._partial = ""
                return [dump({"type": "speech_start", "timestamp": _seconds(at_ms)})]
            case SpeechStopped(at_ms=at_ms):
                return [dump({"type": "speech_end", "timestamp": _seconds(at_ms)})]
            case PartialTranscript(text=text, confidence=confidence):
                self._partial += text
                return [dump(_partial(self._partial, confidence, self._received_ms))]
            case FinalTranscript() as final:
                return [dump(_final(final))]
            case CallError(code=code, message=message):
                return [error_message(code, message)]
            case _:
                return []

    def _config(self, fields: Json) -> ClientEvent:
        if fields.get("type") != "config":
            raise invalid(f"unknown type {quoted(str(fields.get('type')))}: use config")
        known = ("type", "sample_rate", "language", "model", "encoding")
        for key in fields:
            if key not in known:
                raise invalid(f"unknown config key {quoted(key)}: use {', '.join(known[1:])}")
        rate = read.optional_number(fields, "sample_rate", "sample_rate", *RATE_RANGE)
        if rate is not None and rate != int(rate):
            raise invalid("sample_rate must be a whole number", param="sample_rate")
        language = read.optional_string(fields, "language", "language", MAX_NAME_CHARS)
        model = read.optional_string(fields, "model", "model", MAX_NAME_CHARS)
        codec = "f32" if encoding(fields) == "f32" else "pcm16"
        uplink = AudioFormat(codec, int(rate or DEFAULT.rate or 0))
        self.request = replace(self.request, uplink=uplink)
        return ConfigChanged(language=language or None, recogniser=model or None)


def encoding(fields: Json) -> str:
    """The samples that a client asks for: 32-bit floats, unless it says `s16`."""
    return read.one_of(fields, "encoding", "encoding", ("f32", "s16"), "f32")


def _partial(text: str, confidence: float, at_ms: float) -> Json:
    return {
        "type": "partial",
        "text": text,
        "confidence": round(confidence, 3),
        "timestamp": _seconds(at_ms),
    }


def _final(final: FinalTranscript) -> Json:
    words = [
        {
            "word": word.text,
            "start": _seconds(word.start_ms),
            "end": _seconds(word.end_ms),
            "confidence": round(word.confidence, 3),
        }
        for word in final.words
    ]
    return {
        "type": "final",
        "text": final.text,
        "start": _seconds(final.start_ms),
        "end": _seconds(final.end_ms),
        "words": words,
    }


def _seconds(ms: float) -> float:
    return round(ms / 1000, 3)


def _open(handshake: Handshake) -> TranscribeDialect:
    del handshake
    return TranscribeDialect()


ROUTE: Final = Route("/v1/asr", _open, refusal)
"""Where speech is transcribed."""
