"""What the turn machine wants done: values that `call.py` performs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from deployments.contracts import Message, Tool, ToolCall
from serve_app.conversation.announcements import Announcement
from serve_app.conversation.playout import Playout


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this to the client."""

    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Transcribe a stretch of the call's audio and report it under `window_id`.

    Windows of one `turn_id` continue each other: a recogniser with state keeps it by that.
    """

    window_id: int
    turn_id: int
    start_ms: int
    end_ms: int
    final: bool


@dataclass(frozen=True, slots=True)
class JudgePause:
    """Judge whether a stretch of the call's audio, which ends in a pause, sounds complete.

    Reported as `PauseJudged` under `pause_id`. A later one makes this one void.
    """

    pause_id: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class StartReply:
    """Have the model answer `messages` and a voice speak the answer into `playout`.

    When it calls `tools` it waits, for a ContinueReply. `text`: there is an answer already.
    `voice` is instead of the call's. Without `speaks` the answer is text alone. `must_call`: its
    first words are to be a call.
    """

    reply_id: str
    messages: tuple[Message, ...]
    playout: Playout
    tools: tuple[Tool, ...] = ()
    text: str | None = None
    voice: str | None = None
    speaks: bool = True
    must_call: bool = False


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run one of our own tools for a reply; ends with the reply."""

    reply_id: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ContinueReply:
    """The tools that a reply waited for gave what is in `messages`: have the model go on."""

    reply_id: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]


@dataclass(frozen=True, slots=True)
class EndReply:
    """The tools that a reply called are the client's affair: it is over once it was played."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class WakeReply:
    """A reply's playout was released, paused or resumed: look at it again."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop all work on a reply now. Nothing of it may be sent after this."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """Close the call, with a WebSocket close code."""

    close_code: int


Command: TypeAlias = (
    Tell
    | Transcribe
    | JudgePause
    | StartReply
    | RunTool
    | ContinueReply
    | EndReply
    | WakeReply
    | CancelReply
    | EndCall
)
