"""Text-to-speech alone, on `/v1/tts`, whose specification is docs/protocol-services.md.

Texts are spoken one after another, each as fast as the voice can; the client keeps the audio.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from serve_app.conversation.announcements import (
    Announcement,
    CallError,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    VoiceRegistered,
)
from serve_app.conversation.events import (
    ClientEvent,
    ConfigChanged,
    ReplyRequested,
    VoiceOffered,
)
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.dialects import json_fields as read
from serve_app.dialects.json_text import Json, dump, invalid, load, quoted
from serve_app.dialects.routes import Handshake, Route
from serve_app.dialects.transcribe import encoding, error_message, refusal
from serve_app.errors import PeerError

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""Longest message, in bytes: a voice to register is a recording in base64."""
MAX_TEXT_CHARS: Final = 8_000
"""Longest text to speak, in characters."""
MAX_NAME_CHARS: Final = 100
TOKEN_MS: Final = 40
"""What a speech token stands for; `chunk_size` counts these."""
MAX_CHUNK_TOKENS: Final = 1_500

_RATE: Final = 24_000
_AS_MADE: Final = "as made"
_WHOLE: Final = "whole"


class SpeakDialect:
    """One client, whose texts become speech. Nobody listens, and no model is asked."""

    def __init__(self) -> None:
        self.request: CallRequest = CallRequest(
            uplink=AudioFormat("pcm16", 16_000),
            downlink=AudioFormat("f32", _RATE),
            resumes=False,
            paced=False,
        )
        self._chunk_tokens = _AS_MADE
        self._pending = b""
        self._chunks = 0
        self._sent_ms = 0.0

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """The events of one message. Raises PeerError."""
        if isinstance(message, bytes):
            raise invalid("there is nothing to hear here: send JSON")
        fields = load(message, MAX_TEXT_BYTES)
        match fields.get("type"):
            case "synthesize":
                return [self._synthesize(fields)]
            case "config":
                return [self._config(fields)]
            case "register_voice":
                return [_offered(fields)]
            case str(kind):
                raise invalid(f"unknown type {quoted(kind)}")
            case _:
                raise invalid("type must be a string")

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """Each chunk's announcement and its samples; what was sent, once all of a text was."""
        match announcement:
            case ReplyStarted(request_id=request_id):
                self._chunk_tokens = request_id or _AS_MADE
                self._pending, self._chunks, self._sent_ms = b"", 0, 0.0
                return []
            case ReplyAudio(payload=payload):
                return self._audio(payload)
            case ReplyDone():
                last = self._chunk(self._pending) if self._pending else []
                self._pending = b""
                total = {
                    "type": "synthesis_complete",
                    "total_duration_ms": round(self._sent_ms, 1),
                    "chunks_sent": self._chunks,
                }
                return [*last, dump(total)]
            case VoiceRegistered(name=name):
                return [dump({"type": "voice_registered", "voice_id": name})]
            case CallError(code=code, message=message):
                return [error_message(code, message)]
            case _:
                return []

    @property
    def _sample_bytes(self) -> int:
        return 4 if self.request.downlink.codec == "f32" else 2

    def _synthesize(self, fields: Json) -> ClientEvent:
        text = read.string(fields, "text", "text", MAX_TEXT_CHARS)
        if not text.strip():
            raise invalid("text must not be blank", param="text")
        voice = read.optional_string(fields, "voice_id", "voice_id", MAX_NAME_CHARS)
        read.optional_string(fields, "emotion", "emotion", MAX_NAME_CHARS)
        streaming = read.flag(fields, "streaming", "streaming", True)
        tokens = read.optional_number(fields, "chunk_size", "chunk_size", 1, MAX_CHUNK_TOKENS)
        # The id comes back with the text's first sound: it says what is to be known by then.
        chunks = str(int(tokens)) if tokens else _AS_MADE
        request_id = chunks if streaming else _WHOLE
        return ReplyRequested(request_id, text=text, voice=voice or None, remembered=False)

    def _config(self, fields: Json) -> ClientEvent:
        codec = "f32" if encoding(fields) == "f32" else "pcm16"
        self.request = replace(self.request, downlink=AudioFormat(codec, _RATE))
        voice = read.optional_string(fields, "voice_id", "voice_id", MAX_NAME_CHARS)
        language = read.optional_string(fields, "language", "language", MAX_NAME_CHARS)
        return ConfigChanged(voice=voice or None, language=language or None)

    def _audio(self, payload: bytes) -> list[str | bytes]:
        if self._chunk_tokens == _AS_MADE:
            return self._chunk(payload)
        self._pending += payload
        if self._chunk_tokens == _WHOLE:
            return []
        size = int(self._chunk_tokens) * TOKEN_MS * _RATE // 1000 * self._sample_bytes
        messages: list[str | bytes] = []
        while len(self._pending) >= size:
            messages += self._chunk(self._pending[:size])
            self._pending = self._pending[size:]
        return messages

    def _chunk(self, payload: bytes) -> list[str | bytes]:
        duration_ms = len(payload) / self._sample_bytes * 1000 / _RATE
        fields = {
            "type": "audio_chunk",
            "chunk_id": self._chunks,
            "duration_ms": round(duration_ms, 1),
        }
        self._chunks += 1
        self._sent_ms += duration_ms
        return [dump(fields), payload]


def _offered(fields: Json) -> VoiceOffered:
    """Who sends the message says by it that the speaker consents, unless it says otherwise."""
    name = read.string(fields, "voice_id", "voice_id", MAX_NAME_CHARS)
    if not read.flag(fields, "consent", "consent", True):
        text = "consent: a voice is registered only if the person recorded agrees"
        raise PeerError("consent_required", text, param="consent")
    return VoiceOffered(name, read.data(fields, "reference_audio", "reference_audio"))


def _open(handshake: Handshake) -> SpeakDialect:
    del handshake
    return SpeakDialect()


ROUTE: Final = Route("/v1/tts", _open, refusal)
"""Where text is spoken."""
