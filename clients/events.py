"""The server's messages of the native protocol as values. Pure.

The protocol is docs/protocol-native.md; `wire` parses its messages into these. Times in ms;
those named `at_ms`, `start_ms` and `end_ms` count the audio of the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Ready:
    """The call is open. `uplink_rate` is None where the codec needs none.

    `resume`: the token to come back with, up to `resume_s` after the connection was lost.
    `recordable`: the call is recorded if the caller agrees (`VoiceClient.record`).
    """

    call_id: str
    voice: str | None
    language: str | None
    uplink_codec: str
    uplink_rate: int | None
    reply_codec: str
    resume: str | None = None
    resume_s: float | None = None
    recordable: bool = False


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection was lost with this close code, and is being made again.

    The client's own event. After it comes `Ready`, and then `Resumed` or, where the conversation
    is gone, a `ServerError` with code `resume_unavailable`.
    """

    close_code: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """An earlier conversation goes on; what was heard of the answer to its last turn."""

    turns: int
    messages: int
    last_turn: str
    heard: str


@dataclass(frozen=True, slots=True)
class Moving:
    """The server is about to close the connection, and another will go on."""

    resume: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller's turn ended."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Partial:
    """More of the turn's transcript: follows the partials before it."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a final transcript."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Final:
    """What the caller said; replaces the turn's partials."""

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The agent answers."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next piece of the reply's text."""

    reply_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """What the audio that follows says, as it is spoken, from `start_ms` of the reply on."""

    reply_id: str
    text: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Drop this reply's queued audio now."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyResumed:
    """A flushed reply goes on: the next audio starts `from_ms` into it."""

    reply_id: str
    from_ms: int


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The reply is over; `heard` is what of it the server counts as heard."""

    reply_id: str
    status: Literal["completed", "interrupted", "failed"]
    heard: str


@dataclass(frozen=True, slots=True)
class Recording:
    """The call is recorded from now on, and that kept for `keep_days`; or, not `on`, it is not,
    and what there was of it is deleted."""

    on: bool
    keep_days: float | None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a tool that this client declared: `VoiceClient.answer_tool` answers it."""

    reply_id: str
    call_id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a turn went, in ms."""

    reply_id: str
    pause_ms: float
    stt_ms: float
    llm_ms: float
    tts_ms: float
    pipeline_ms: float


@dataclass(frozen=True, slots=True)
class ServerError:
    """Something went wrong; unless the connection then closes, the call goes on."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A JSON message of a type that this client does not know: a newer server's."""

    type: str


@dataclass(frozen=True, slots=True)
class Payload:
    """Reply audio as it came: int16 samples at `rate` Hz, or one Opus packet."""

    codec: Literal["pcm16", "opus"]
    rate: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TranscriptBytes:
    """A final transcript in its binary form, for clients that read no JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class ErrorBytes:
    """An error in its binary form, for clients that read no JSON."""

    message: str


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded reply audio: int16 mono samples at `rate` Hz, received at `at` (seconds).

    Made by the client from `Payload`; `reply_id` is the reply started or resumed last.
    """

    pcm: bytes
    rate: int
    reply_id: str
    at: float


JsonEvent: TypeAlias = (
    Ready
    | Resumed
    | Moving
    | SpeechStarted
    | SpeechStopped
    | Partial
    | Final
    | ReplyStarted
    | ReplyText
    | Phrase
    | Flush
    | ReplyResumed
    | ReplyDone
    | Recording
    | ToolCall
    | Timings
    | ServerError
    | Unknown
)
BinaryEvent: TypeAlias = Payload | TranscriptBytes | ErrorBytes
Event: TypeAlias = JsonEvent | Reconnecting | Audio | TranscriptBytes | ErrorBytes
"""What an open call yields."""
