"""What operators see of one call: counts, records, and the spans of its turns.

    turn ─┬─ stt transcribe ── stt.decode                 each final that was asked for
          └─ reply ─┬─ llm reply ── llm.write             each reply begun, speculative ones too
                    └─ tts speak ── tts.wait, tts.speak   each phrase

A turn begins when its final transcript is first asked for, and ends with its reply. Where tracing
is off every span is `NO_SPAN`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from deployments.logs import ids, logger
from deployments.tracing import NO_SPAN, Span, begin, below
from serve_app import metrics
from serve_app.conversation import announcements as say
from serve_app.conversation import commands as do
from serve_app.conversation.replying import Speculation

log = logger("call")

TIMED = ("pause", "stt", "llm", "tts", "pipeline")


class Observation:
    """Follows what a call does."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._turn: Span = NO_SPAN
        self._turn_id: int | None = None
        self._of_reply: dict[str, Span] = {}
        self._answered: dict[str, Span] = {}

    @contextmanager
    def call(self) -> Generator[None, None, None]:
        """Around all of it: its records have the call's id."""
        with ids(call_id=self._call_id):
            log.info("call %s began", self._call_id)
            yield

    @contextmanager
    def transcribing(self, command: do.Transcribe) -> Generator[None, None, None]:
        """Around the start of a transcription. Partials are nobody's wait: they have no span."""
        if command.final and command.turn_id != self._turn_id:
            self._begin_turn(command.turn_id)
        span = self._turn if command.final else NO_SPAN
        with ids(turn_id=command.turn_id), below(span):
            yield

    @contextmanager
    def replying(self, reply_id: str) -> Generator[Span, None, None]:
        """Around the start of a reply; whoever works on it ends its span.

        Without a turn (typed, asked for by the client) it is one by itself.
        """
        if self._turn_id is None:
            self._begin_turn(None)
        self._of_reply[reply_id] = self._turn
        parent = self._turn.traceparent
        span = begin("reply", parent, reply_id=reply_id) if parent else NO_SPAN
        with ids(reply_id=reply_id), below(span):
            yield span

    def told(self, announcement: say.Announcement) -> None:
        """The client is told this."""
        metrics.observe(announcement)
        match announcement:
            case say.ReplyStarted(reply_id=reply_id):
                self._answered[reply_id] = self._of_reply.get(reply_id, NO_SPAN)
            case say.TurnTimings(reply_id=reply_id):
                spent = {f"{stage}_ms": getattr(announcement, f"{stage}_ms") for stage in TIMED}
                self._answered.get(reply_id, NO_SPAN).set(**spent)
                record = {"reply_id": reply_id, **spent}
                log.info("call %s: answered", self._call_id, extra=record)
            case say.ReplyResumed(reply_id=reply_id):
                self._answered.get(reply_id, NO_SPAN).note("resumed")
            case say.ReplyDone(reply_id=reply_id, status=status):
                self._end_turn(self._answered.pop(reply_id, NO_SPAN), status)
            case _:
                pass

    def ended(self, close_code: int, waste: Speculation) -> None:
        """The call is over."""
        metrics.speculated(waste.started, waste.dropped)
        for turn in (self._turn, *self._answered.values()):
            self._end_turn(turn, "hung_up")
        record = {"call_id": self._call_id, "close_code": close_code}
        log.info("call %s ended", self._call_id, extra=record)

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
