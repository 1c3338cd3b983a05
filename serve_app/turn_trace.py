"""The spans of one call's turns: what is worked for which turn, and when a turn is over.

    turn ─┬─ stt transcribe ── stt.decode                 each final that was asked for
          └─ reply ─┬─ llm reply ── llm.write             each reply begun, speculative ones too
                    └─ tts speak ── tts.wait, tts.speak   each phrase

A turn begins when its final transcript is first asked for, and ends with its reply. Where tracing
is off all of this is `NO_SPAN`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from deployments.tracing import NO_SPAN, Span, begin, below
from serve_app.conversation import announcements as say
from serve_app.conversation import commands as do

TIMED = ("pause", "stt", "llm", "tts", "pipeline")


class TurnTrace:
    """Follows what a call does."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._turn: Span = NO_SPAN
        self._turn_id: int | None = None
        self._of_reply: dict[str, Span] = {}
        self._answered: dict[str, Span] = {}

    def transcribing(self, command: do.Transcribe) -> AbstractContextManager[None]:
        """Around the start of a transcription. Partials are nobody's wait."""
        if not command.final:
            return nullcontext()
        if command.turn_id != self._turn_id:
            self._begin_turn(command.turn_id)
        return below(self._turn)

    def reply(self, reply_id: str) -> Span:
        """A reply begins; whoever works on it ends its span. Without a turn (typed, asked for by
        the client) it is one by itself."""
        if self._turn_id is None:
            self._begin_turn(None)
        self._of_reply[reply_id] = self._turn
        parent = self._turn.traceparent
        return begin("reply", parent, reply_id=reply_id) if parent else NO_SPAN

    def told(self, announcement: say.Announcement) -> None:
        """The client is told this."""
        match announcement:
            case say.ReplyStarted(reply_id=reply_id):
                self._answered[reply_id] = self._of_reply.get(reply_id, NO_SPAN)
            case say.TurnTimings(reply_id=reply_id):
                spent = {f"{stage}_ms": getattr(announcement, f"{stage}_ms") for stage in TIMED}
                self._answered.get(reply_id, NO_SPAN).set(**spent)
            case say.ReplyResumed(reply_id=reply_id):
                self._answered.get(reply_id, NO_SPAN).note("resumed")
            case say.ReplyDone(reply_id=reply_id, status=status):
                self._end_turn(self._answered.pop(reply_id, NO_SPAN), status)
            case _:
                pass

    def end(self) -> None:
        """The call is over."""
        for turn in (self._turn, *self._answered.values()):
            self._end_turn(turn, "hung_up")

    def _begin_turn(self, turn_id: int | None) -> None:
        if self._turn not in self._answered.values():
            self._end_turn(self._turn, "unanswered")
        self._turn_id = turn_id
        self._turn = begin("turn", call_id=self._call_id)
        if turn_id is not None:
            self._turn.set(turn_id=turn_id)

    def _end_turn(self, turn: Span, status: str) -> None:
        turn.set(status=status)
        turn.end()
        self._of_reply = {name: of for name, of in self._of_reply.items() if of is not turn}
        if turn is self._turn:
            self._turn, self._turn_id = NO_SPAN, None
