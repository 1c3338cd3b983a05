"""What a stage takes, gives and raises: the only module that the ingress and the stages share.

Imports the standard library alone, so that any worker environment can load it.
Audio is mono int16 little endian everywhere; times are milliseconds of the audio they sit in.

    BackendError
    ├── BadInput         the request is at fault: never retried
    ├── Overloaded       the stage has no room now: another replica may have
    ├── StreamLost       an incremental recogniser no longer has the stream: replay the window
    └── LoadFailed       the model could not be loaded: the message says what to change
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SPEECH_RATE = 16_000
"""Sample rate of every window of speech, in Hz."""

VoiceFault: TypeAlias = Literal[
    "invalid_value", "voice_not_found", "voice_exists", "cloning_not_supported"
]
"""What is wrong with a request that is about a voice."""


Task: TypeAlias = Literal["transcribe", "translate"]
"""What is made of speech: its own words, or English ones."""


class BackendError(Exception):
    """Base of everything a backend raises on purpose."""


class BadInput(BackendError):
    """The request itself cannot be served: an unknown voice, a language the model lacks."""

    def __init__(self, message: str, code: VoiceFault = "invalid_value") -> None:
        super().__init__(message)
        self.code: VoiceFault = code


class Overloaded(BackendError):
    """No room at this replica now."""


class StreamLost(BackendError):
    """The incremental stream that a window continues is not held here."""


class LoadFailed(BackendError):
    """The model or its library could not be loaded."""


@dataclass(frozen=True, slots=True)
class SpeechWindow:
    """A stretch of the caller's speech to transcribe, or to translate into English.

    With `stream` set, `pcm` continues that stream at sample `offset`; a recogniser with state
    of its own decodes just the new part. Without it the window stands alone.
    `trace`, here and in the other requests: the W3C traceparent of whoever waits for this.
    """

    pcm: bytes
    final: bool
    language: str | None = None
    stream: str | None = None
    offset: int = 0
    trace: str | None = None
    task: Task = "transcribe"


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised word; times from the window's (or the stream's) first sample."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a window. `words` is empty where the backend has no word times.

    `language`: that of the text, which of a translation is English.
    """

    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None

    @property
    def confidence(self) -> float:
        """The mean of its words'; 1 where it has none."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 1.0


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a language model may call. `parameters_json`: the JSON schema of its arguments."""

    name: str
    description: str
    parameters_json: str = '{"type": "object", "properties": {}}'


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants a tool's result; `arguments_json` is as the model wrote it, maybe no JSON."""

    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation as a language model sees it.

    An assistant's may ask for tools; for each call a message of role `tool` with its id follows.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What the language model answers, by which `tools`; `server_url`: at another server.

    `must_call`: the answer is to be a call. A backend that cannot force one lets the model choose.
    """

    messages: tuple[Message, ...]
    server_url: str | None = None
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of a reply's text."""

    text: str


ReplyItem: TypeAlias = TextDelta | ToolCall
"""What a reply is made of. Tool calls come last: the reply goes on when they are answered."""


Urgency: TypeAlias = Literal["first", "later", "speculative", "offline"]
"""What a phrase is for: a committed reply's first sound, the rest of one, a reply that may yet be
dropped, or nobody who listens now."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A phrase to speak. `voice` and `language` None mean the backend's default.

    `slack_ms`: how long the caller still has sound, when this is sent; a span and not a time,
    because the clocks of two machines differ. A phrase that runs is not interrupted, so whoever
    has a long text that nobody waits for sends it in phrases too.

    `recording`: set by the stage where `voice` is a registered one: the path of a mono int16 wav
    file of 24 kHz. What a backend derives from it, it may keep in the same folder, under file
    names that begin with its own: the folder goes when the voice is deleted, never while a phrase
    that was given it runs. The path is never given to another recording.
    """

    text: str
    voice: str | None = None
    language: str | None = None
    urgency: Urgency = "offline"
    slack_ms: float = 0.0
    recording: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Cloning:
    """That a backend speaks with registered voices, and how long a recording it needs."""

    min_s: float
    max_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice; a registered one has a time, in seconds since 1970, and a length."""

    name: str
    created_at: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Where a word of the phrase begins: text[start:end], `at_ms` into the phrase's audio."""

    start: int
    end: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """The next piece of a phrase's audio, with the words that begin in it (where known).

    `next_max_chars`: set by the stage while others wait for the voice that made this: the next
    phrase should not be longer, so that they get their turn. Backends leave it None.
    `queued`: set by the stage on a chunk without audio, for a speculative phrase that has to wait
    for its turn; another chunk without audio says that it came. Backends leave it False.
    """

    pcm: bytes
    rate: int
    words: tuple[SpokenWord, ...] = ()
    next_max_chars: int | None = None
    queued: bool = False

    @property
    def duration_ms(self) -> float:
        """Length of this chunk."""
        return len(self.pcm) / 2 * 1000 / self.rate


@dataclass(frozen=True, slots=True)
class StageInfo:
    """What a loaded stage says of itself.

    `incremental`: the recogniser keeps a decoder per stream, so windows are sent as pieces.
    `voices`, `languages`: what may be asked for; an empty tuple means anything may.
    `slots`: phrases that a voice makes at once; None: any number.
    `cloning`: set by the stage; with it registered voices may be asked for besides `voices`.
    `batch`: finals that a recogniser of whole windows takes in one call.
    `translates`: it takes windows whose task is to translate; without this it is given none.
    """

    backend: str
    incremental: bool = False
    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    slots: int | None = 1
    cloning: Cloning | None = None
    batch: int = 1
    translates: bool = False
    details: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class SpeechCapacity:
    """What room a voice has now, at the pace that was measured.

    `first_wait_ms`: how long a reply's first phrase, asked for now, would wait for its turn.
    `late_ms`: for how long a caller will hear nothing inside a reply, at worst; 0: the queue
    meets its deadlines.
    """

    running: int
    waiting: int
    first_wait_ms: float
    late_ms: float
    real_time_factor: float
