"""What happened in a call: the values the turn machine is told.

`ClientEvent` is what a dialect decodes; the rest comes from the ear and the stages. An event
about a window or a reply carries its id; one with a stale id is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from deployments.contracts import Message, Tool, ToolCall, Transcript
from serve_app.conversation.tool_choice import ToolChoice


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """One message of the caller's audio, still encoded. For the ear, not the machine."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class TextTyped:
    """A turn that was typed."""

    text: str


@dataclass(frozen=True, slots=True)
class CommitRequested:
    """The client says the caller's turn ends now."""


@dataclass(frozen=True, slots=True)
class HearingCleared:
    """What was heard since the last turn is to be forgotten."""


@dataclass(frozen=True, slots=True)
class InterruptRequested:
    """The client wants the agent to stop speaking now."""


@dataclass(frozen=True, slots=True)
class PlaybackReported:
    """The client has played this much of a reply's audio."""

    reply_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """New settings for the rest of the call; None leaves one as it is.

    detects_turns   the caller's voice begins and ends turns; else `CommitRequested` alone does
    answers_turns   a turn is answered; else it is kept for a `ReplyRequested`
    interruptible   the caller's speech ends a reply
    speaks          replies have a voice; else they are text alone
    silence_ms      the caller's silence after a reply that is answered as a turn is; 0: none
    recogniser      the name of the model that must be the one deployed
    tools           those that the client runs, instead of those it named before
    continues       a reply goes on when they have answered; else the client asks for another
    """

    voice: str | None = None
    language: str | None = None
    instructions: str | None = None
    endpoint_ms: int | None = None
    prefix_ms: int | None = None
    voice_probability: float | None = None
    detects_turns: bool | None = None
    answers_turns: bool | None = None
    interruptible: bool | None = None
    speaks: bool | None = None
    silence_ms: int | None = None
    recogniser: str | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    continues: bool | None = None


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """The client puts a message into the history: after another, at its front (""), or last."""

    message_id: str
    role: Literal["system", "user", "assistant"]
    text: str
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallAdded:
    """The client puts a call into the history, as if the model had made it."""

    call: ToolCall
    after: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRemoved:
    """The client takes a message out of the history."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ReplyRequested:
    """The client wants a reply now. None: as in any reply of the call.

    It waits for the reply in progress, and for transcripts that are due. `text`: just this is
    said, and no model asked. `messages` are answered in the history's place. What is not
    `remembered` leaves no trace in the history.
    """

    request_id: str | None = None
    text: str | None = None
    messages: tuple[Message, ...] | None = None
    instructions: str | None = None
    voice: str | None = None
    speaks: bool | None = None
    remembered: bool = True
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None


@dataclass(frozen=True, slots=True)
class ReplyTruncated:
    """No more than this of a reply's audio was played, or ever will be."""

    reply_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """What a tool of the client's gave."""

    call_id: str
    result: str


@dataclass(frozen=True, slots=True)
class VoiceOffered:
    """A recording, a file of any common format, is to become a voice. For the call, not the
    machine."""

    name: str
    recording: bytes


@dataclass(frozen=True, slots=True)
class RecordingAnswered:
    """The caller agrees that the call is recorded from now on; or, not `given`, agrees no more.
    For the call, not the machine."""

    given: bool


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller is done."""


ClientEvent: TypeAlias = (
    AudioReceived
    | TextTyped
    | CommitRequested
    | HearingCleared
    | InterruptRequested
    | PlaybackReported
    | ConfigChanged
    | MessageAdded
    | ToolCallAdded
    | MessageRemoved
    | ReplyRequested
    | ReplyTruncated
    | ToolAnswered
    | VoiceOffered
    | RecordingAnswered
    | HangUp
)


@dataclass(frozen=True, slots=True)
class VoiceFrame:
    """The voice detector's verdict on the 32 ms of audio that end at `end_ms` of the call."""

    probability: float
    end_ms: int


@dataclass(frozen=True, slots=True)
class LevelDropped:
    """From `at_ms` of the call to `heard_ms` its audio was far below the level of speech.

    Speech may have ended there, though the voice detector cannot know it yet. Comes only where
    replies are begun ahead of the commit.
    """

    at_ms: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class LevelRose:
    """The quiet of the last `LevelDropped` ended at `at_ms`."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    """A window was transcribed. `room`: the load allows to begin what may be dropped."""

    window_id: int
    transcript: Transcript
    room: bool = True


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    """A window could not be transcribed, retries included."""

    window_id: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PauseJudged:
    """How likely the turn is complete, by its sound up to a pause; None: nobody could tell."""

    pause_id: int
    probability: float | None


@dataclass(frozen=True, slots=True)
class ReplyTextWritten:
    """The language model wrote the next piece of a reply."""

    reply_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ToolsCalled:
    """The model called tools, and waits for what they give."""

    reply_id: str
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """One of our own tools ended: what it gave, or an error in words for the model."""

    reply_id: str
    call_id: str
    result: str


@dataclass(frozen=True, slots=True)
class ReplySpeaking:
    """A reply's first audio was sent; the times its model and its voice took to begin."""

    reply_id: str
    llm_ms: float
    tts_ms: float


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """A reply was played to its end, or broke off: `error` is then a (code, message) pair."""

    reply_id: str
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The client broke a rule that ends its call."""

    close_code: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline of the machine has come."""


Event: TypeAlias = (
    TextTyped
    | CommitRequested
    | HearingCleared
    | InterruptRequested
    | PlaybackReported
    | ConfigChanged
    | MessageAdded
    | ToolCallAdded
    | MessageRemoved
    | ReplyRequested
    | ReplyTruncated
    | ToolAnswered
    | HangUp
    | VoiceFrame
    | LevelDropped
    | LevelRose
    | TranscriptReady
    | TranscriptFailed
    | PauseJudged
    | ReplyTextWritten
    | ToolsCalled
    | ToolFinished
    | ReplySpeaking
    | ReplyFinished
    | Dismissed
    | Tick
)
