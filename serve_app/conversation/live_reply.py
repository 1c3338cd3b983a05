"""What is known of one reply while it is being made or played."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.contracts import Message
from serve_app.conversation import events as ev
from serve_app.conversation.finals import HeardTurn
from serve_app.conversation.playout import Playout


@dataclass(slots=True)
class LiveReply:
    """A reply: what it answers and how, its text so far, and how it stands with the caller.

    `guess`: the turn it was begun for ahead of the commit. `recalled`: a pause took audio back.
    `deaf`: words that did not come in time count no more against it.
    """

    reply_id: str
    messages: tuple[Message, ...]
    playout: Playout
    guess: HeardTurn | None
    request: ev.ReplyRequested
    speaks: bool
    committed_at: float = 0.0
    awaited_from: float = 0.0
    pause_ms: float = 0.0
    stt_ms: float = 0.0
    text: str = ""
    speaking: bool = False
    recalled: bool = False
    paused_at: float | None = None
    deaf: bool = False

    def heard(self, now: float) -> str:
        """What of it surely reached the caller."""
        return self.playout.heard(now) if self.speaks else self.text.strip()
