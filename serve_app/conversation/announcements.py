"""What a client is told, in no dialect: each dialect encodes these as its protocol has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from deployments.contracts import Word

ReplyStatus: TypeAlias = Literal["completed", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class CallReady:
    """The call is open. `voice` and `language` are those in force (None: the stages' own).

    `resume`: with this token the client can come back, up to `resume_s` after it was lost; None:
    conversations are not kept. `recordable`: it is recorded if the caller agrees.
    """

    call_id: str
    voice: str | None
    language: str | None
    resume: str | None = None
    resume_s: float | None = None
    recordable: bool = False


@dataclass(frozen=True, slots=True)
class ConversationResumed:
    """An earlier call goes on. So many turns and messages are known; the caller's last turn,
    and what was heard of the answer to it."""

    turns: int
    messages: int
    last_turn: str
    heard: str


@dataclass(frozen=True, slots=True)
class Moving:
    """This replica stops: the client is to come back with the token, and will be elsewhere."""

    resume: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak, `at_ms` into the call's audio."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller's turn ended, `at_ms` into the call's audio."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SilenceTimedOut:
    """The caller said nothing since the last reply was played, which is answered now. Its start
    and end in the call's audio."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """More of the turn's transcript: `text` follows the partials sent before it.

    `confidence`: the mean of the words heard so far, 1 where the recogniser gives none.
    """

    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """What the caller said in the turn; replaces its partials. Word times are call times.

    `end_ms` is the `at_ms` of the turn's SpeechStopped: transcripts may be late.
    """

    text: str
    start_ms: int
    end_ms: int
    words: tuple[Word, ...] = ()


def turn_message_id(end_ms: int) -> str:
    """What the history knows a spoken turn by."""
    return f"turn-{end_ms}"


def call_message_id(call_id: str) -> str:
    """What the history knows a tool's call and its result by."""
    return f"call-{call_id}"


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The agent answers: a turn, or what the client asked for under `request_id`."""

    reply_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next piece of the reply's text."""

    reply_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class PhraseBegun:
    """The audio that follows speaks `text`, from `start_ms` into the reply."""

    reply_id: str
    text: str
    start_ms: int


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """The next piece of the reply's audio: int16 samples, or one Opus packet."""

    reply_id: str
    rate: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReplyFlushed:
    """Audio that is queued at the client must not be played."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyResumed:
    """A flushed reply goes on; the audio that follows starts `from_ms` into the reply."""

    reply_id: str
    from_ms: int


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The reply is over; `heard` is what of it the caller surely heard."""

    reply_id: str
    status: ReplyStatus
    heard: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool of the client's, who is to answer. `arguments_json` is an object."""

    reply_id: str
    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class VoiceRegistered:
    """A recording that the client offered is a voice now: it may be asked for by this name."""

    name: str


@dataclass(frozen=True, slots=True)
class RecordingChanged:
    """The call is recorded from now on, and the recording kept for `keep_days`; or it is not, and
    what there was of it is deleted."""

    on: bool
    keep_days: float | None = None


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Where the time of a turn went, in ms.

    `pause_ms`: end of speech → end of turn decided. `stt_ms`: final transcript asked for → there.
    `llm_ms`: asked → first text. `tts_ms`: first phrase sent → its first audio.
    `pipeline_ms`: end of turn decided → first audio sent. A typed turn has no pause and no stt.
    """

    reply_id: str
    pause_ms: float
    stt_ms: float
    llm_ms: float
    tts_ms: float
    pipeline_ms: float


@dataclass(frozen=True, slots=True)
class CallError:
    """Something went wrong; unless the call then closes, it goes on.

    `turn_end_ms`: the turn whose transcript will not come. `cause`: the client's own id of the
    message that was wrong, `param` what in it.
    """

    code: str
    message: str
    turn_end_ms: int | None = None
    cause: str | None = None
    param: str | None = None


Announcement: TypeAlias = (
    CallReady
    | ConversationResumed
    | Moving
    | SpeechStarted
    | SpeechStopped
    | SilenceTimedOut
    | PartialTranscript
    | FinalTranscript
    | ReplyStarted
    | ReplyText
    | PhraseBegun
    | ReplyAudio
    | ReplyFlushed
    | ReplyResumed
    | ReplyDone
    | ToolCalled
    | VoiceRegistered
    | RecordingChanged
    | TurnTimings
    | CallError
)
