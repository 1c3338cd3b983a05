"""What is known of one reply while it is being made or played."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.contracts import Message
from serve_app.conversation import events as ev
from serve_app.conversation.announcements import TurnTimings
from serve_app.conversation.finals import HeardTurn
from serve_app.conversation.playout import Playout
from serve_app.conversation.snapshot import CutReply
from serve_app.conversation.tooling import ToolRounds


@dataclass(slots=True)
class LiveReply:
    """A reply: what it answers and how, its text so far, and how it stands with the caller.

    `guess`: the turn it was begun for ahead of the commit. `recalled`: a pause took audio back.
    `deaf`: words that did not come in time count no more against it.
    """

    reply_id: str
    messages: tuple[Message, ...]
    playout: Playout
    rounds: ToolRounds
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

    def cut_off(self, now: float) -> CutReply:
        """It, if the call broke off now."""
        before, after = self.rounds.exchanges()
        heard = self.heard(now)
        return CutReply(self.reply_id, self.request, (*before, *after), self.text, heard)

    def timings(self, event: ev.ReplySpeaking, now: float) -> TurnTimings:
        """Where the time went until its first audio left."""
        return TurnTimings(
            self.reply_id,
            pause_ms=self.pause_ms,
            stt_ms=self.stt_ms,
            llm_ms=event.llm_ms,
            tts_ms=event.tts_ms,
            pipeline_ms=(now - self.committed_at) * 1000,
        )
