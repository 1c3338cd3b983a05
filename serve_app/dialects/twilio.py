"""Telephone calls by Twilio Media Streams, whose specification is docs/protocol-twilio.md.

Mu-law at 8 kHz both ways. Marks stand in the sound that is sent: the one that comes back says
what was played, unless a `clear` came between, which sends all of them back unplayed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final, assert_never
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

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
from serve_app.conversation.events import (
    AudioReceived,
    ClientEvent,
    ConfigChanged,
    HangUp,
    PlaybackReported,
    RecordingAnswered,
)
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.dialects import json_fields as read
from serve_app.dialects import twilio_signature as signature
from serve_app.dialects.json_text import Json, dump, invalid, load, quoted
from serve_app.dialects.routes import Handshake, Keys, Page, Post, PostRoute, Route
from serve_app.errors import PeerError

PATH: Final = "/twilio"
MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Longest message, in bytes; Twilio's carry 20 ms of sound."""
MAX_NAME_CHARS: Final = 100
MAX_INSTRUCTIONS_CHARS: Final = 8_000
"""Twilio itself allows 500 characters a parameter."""
MARK_EVERY_MS: Final = 100
"""Sound between two marks: so much less than was heard may the history keep."""

_RATE: Final = 8_000
_TELEPHONE: Final = AudioFormat("mulaw", _RATE)


def check(handshake: Handshake, keys: Keys) -> None:
    """Raises PeerError where a token is configured and the request is not signed with it."""
    if keys.twilio_auth_token is not None:
        url = f"wss://{_public_host(keys, handshake.headers)}{handshake.path}"
        signature.check(keys.twilio_auth_token, handshake.headers, url)


def answer(post: Post, keys: Keys) -> Page:
    """The TwiML that connects a call that comes in. Raises PeerError where it is not signed."""
    host = _public_host(keys, post.headers)
    if keys.twilio_auth_token is not None:
        form = parse_qsl(post.body.decode("utf-8", "replace"), keep_blank_values=True)
        url = f"https://{host}{post.url_path}"
        signature.check(keys.twilio_auth_token, post.headers, url, form)
    stream = f"<Stream url={quoteattr(f'wss://{host}{PATH}')}/>"
    twiml = f"<Response><Connect>{stream}</Connect></Response>"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return Page(f"{head}{twiml}".encode(), "application/xml")


def _public_host(keys: Keys, headers: Mapping[str, str]) -> str:
    origin = keys.public_origin or headers.get("host", "")
    return origin.split("://")[-1].rstrip("/")


def refusal(error: PeerError) -> list[str | bytes]:
    """Nothing: Twilio reads the HTTP status, and has no message for it."""
    del error
    return []


class TwilioDialect:
    """One telephone call."""

    def __init__(self) -> None:
        self.request: CallRequest = CallRequest(_TELEPHONE, _TELEPHONE)
        self._stream_sid: str | None = None
        self._reply_id = ""
        self._sent_ms = 0.0
        self._marked_ms = 0.0
        self._clears = 0

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """The events of one message. Raises PeerError; only a message too big ends the call."""
        if isinstance(message, bytes):
            raise invalid("a message must be text")
        fields = load(message, MAX_MESSAGE_BYTES)
        match fields.get("event"):
            case "media":
                return _audio(read.record(fields, "media", "media"))
            case "mark":
                return self._played(read.record(fields, "mark", "mark"))
            case "start":
                return self._start(read.record(fields, "start", "start"))
            case "stop":
                return [HangUp()]
            case "connected" | "dtmf":
                return []
            case str(event):
                raise invalid(f"unknown event {quoted(event)}")
            case _:
                raise invalid("event must be a string")

    def encode(self, announcement: Announcement) -> list[str | bytes]:
        """Sound with its marks, and a clear where it must not be played; Twilio has no more."""
        match announcement:
            case ReplyAudio(reply_id=reply_id, payload=payload):
                return self._sound(reply_id, payload)
            case ReplyFlushed():
                self._clears += 1
                return self._send("clear")
            case ReplyResumed(from_ms=from_ms):
                self._sent_ms = self._marked_ms = from_ms
                return []
            case (
                CallReady()
                | ConversationResumed()
                | Moving()
                | SpeechStarted()
                | SpeechStopped()
                | SilenceTimedOut()
                | PartialTranscript()
                | FinalTranscript()
                | ReplyStarted()
                | ReplyText()
                | PhraseBegun()
                | ReplyDone()
                | ToolCalled()
                | VoiceRegistered()
                | RecordingChanged()
                | TurnTimings()
                | CallError()
            ):
                return []
            case _:
                assert_never(announcement)

    def _start(self, start: Json) -> list[ClientEvent]:
        form = read.record(start, "mediaFormat", "start.mediaFormat")
        if (form.get("encoding"), form.get("sampleRate"), form.get("channels")) != (
            "audio/x-mulaw",
            _RATE,
            1,
        ):
            raise PeerError(
                "unsupported_format", "only mu-law at 8 kHz, one channel", close_code=1003
            )
        self._stream_sid = read.string(start, "streamSid", "start.streamSid", MAX_NAME_CHARS)
        wanted = read.record(start, "customParameters", "start.customParameters")
        config = ConfigChanged(
            voice=_parameter(wanted, "voice", MAX_NAME_CHARS),
            language=_parameter(wanted, "language", MAX_NAME_CHARS),
            instructions=_parameter(wanted, "instructions", MAX_INSTRUCTIONS_CHARS),
        )
        agreed = [RecordingAnswered(True)] if wanted.get("record") == "true" else []
        return [*([] if config == ConfigChanged() else [config]), *agreed]

    def _played(self, mark: Json) -> list[ClientEvent]:
        """Only our own marks count, and of those the ones that no `clear` came after."""
        name = read.string(mark, "name", "mark.name", MAX_NAME_CHARS)
        reply_id, _, place = name.rpartition("@")
        played_ms, _, clears = place.partition(".")
        if not (reply_id and _is_count(played_ms) and _is_count(clears)):
            return []
        if int(clears) != self._clears:
            return []
        return [PlaybackReported(reply_id, float(played_ms))]

    def _sound(self, reply_id: str, payload: bytes) -> list[str | bytes]:
        if reply_id != self._reply_id:
            self._reply_id = reply_id
            self._sent_ms = self._marked_ms = 0.0
        self._sent_ms += len(payload) * 1000 / _RATE
        messages = self._send("media", media={"payload": base64.b64encode(payload).decode()})
        if self._sent_ms - self._marked_ms >= MARK_EVERY_MS:
            self._marked_ms = self._sent_ms
            name = f"{reply_id}@{round(self._sent_ms)}.{self._clears}"
            messages += self._send("mark", mark={"name": name})
        return messages

    def _send(self, event: str, **fields: Json) -> list[str | bytes]:
        """Before the stream is started there is nowhere to send to."""
        if self._stream_sid is None:
            return []
        return [dump({"event": event, "streamSid": self._stream_sid, **fields})]


def _audio(media: Json) -> list[ClientEvent]:
    if media.get("track", "inbound") != "inbound":
        return []
    payload = read.data(media, "payload", "media.payload")
    return [AudioReceived(payload)] if payload else []


def _parameter(wanted: Json, key: str, longest: int) -> str | None:
    return read.optional_string(wanted, key, f"customParameters.{key}", longest) or None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _open(handshake: Handshake) -> TwilioDialect:
    del handshake
    return TwilioDialect()


ROUTE: Final = Route(PATH, _open, refusal, check, signed=True)
"""Where a stream is connected to."""

ANSWER: Final = PostRoute("/twilio/answer", answer, signed=True)
"""What Twilio asks when a call comes in."""
