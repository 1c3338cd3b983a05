"""Turns that were committed, until their final transcripts are there: handed over in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployments.contracts import Transcript, Word
from serve_app.conversation import announcements as say
from serve_app.conversation import events as ev
from serve_app.conversation.commands import Command, Tell


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A turn and its final transcript, or what that will probably be."""

    turn_id: int
    text: str
    committed_at: float
    pause_ms: float
    stt_ms: float
    message_id: str = ""


@dataclass(slots=True)
class Final:
    """A final transcript, asked for at a pause or at the commit. Times in ms of the call.

    `guess`: what a recogniser with state held the turn for before it finished it.
    """

    turn_id: int
    window_id: int
    start_ms: int
    end_ms: int
    asked_at: float
    transcript: Transcript | None = None
    stt_ms: float = 0.0
    guess: HeardTurn | None = None

    def settle(self, transcript: Transcript, now: float) -> None:
        """It is there."""
        self.transcript = transcript
        self.stt_ms = (now - self.asked_at) * 1000


@dataclass(slots=True)
class _Committed:
    final: Final
    at: float
    pause_ms: float
    speech_ms: tuple[int, int]


class Finals:
    """Tells the client each final transcript and keeps the turn for `take_complete`.

    Turns complete in the order they were spoken; a transcript that came early waits.
    """

    def __init__(self, timeout_s: float, out: list[Command]) -> None:
        self._timeout_s = timeout_s
        self._out = out
        self._committed: dict[int, _Committed] = {}
        self._complete: list[HeardTurn] = []

    @property
    def awaited(self) -> bool:
        """A transcript is still to come."""
        return bool(self._committed)

    def commit(self, final: Final, speech_ms: tuple[int, int], pause_ms: float, now: float) -> None:
        """A turn is over; `final` is its transcript or will be. `speech_ms`: its start and end."""
        self._committed[final.window_id] = _Committed(final, now, pause_ms, speech_ms)
        self._finish_in_order()

    def transcribed(self, window_id: int, transcript: Transcript, now: float) -> bool:
        """Take in a transcript. False if no committed turn waits for it."""
        committed = self._committed.get(window_id)
        if committed is None:
            return False
        committed.final.settle(transcript, now)
        self._finish_in_order()
        return True

    def failed(self, event: ev.TranscriptFailed) -> bool:
        """The turn is lost, and the client is told. False if no committed turn waits for it."""
        committed = self._committed.pop(event.window_id, None)
        if committed is None:
            return False
        _, end_ms = committed.speech_ms
        self._out.append(Tell(say.CallError(event.code, event.message, end_ms)))
        self._finish_in_order()
        return True

    def take_complete(self) -> list[HeardTurn]:
        """The turns that became complete since the last call; those without words are left out."""
        complete, self._complete = self._complete, []
        return [turn for turn in complete if turn.text]

    def guess(self) -> HeardTurn | None:
        """What the last turn that waits for its transcript will probably be."""
        return next((entry.final.guess for entry in reversed(self._committed.values())), None)

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        return min((entry.at + self._timeout_s for entry in self._committed.values()), default=None)

    def tick(self, now: float) -> None:
        """Give up on transcripts that are overdue."""
        late = [w for w, entry in self._committed.items() if now >= entry.at + self._timeout_s]
        for window_id in late:
            why = "no transcript came in time"
            self.failed(ev.TranscriptFailed(window_id, "stage_timeout", why))

    def _finish_in_order(self) -> None:
        for window_id, committed in list(self._committed.items()):
            if committed.final.transcript is None:
                return
            del self._committed[window_id]
            self._finish(committed, committed.final.transcript)

    def _finish(self, committed: _Committed, transcript: Transcript) -> None:
        final = committed.final
        words = tuple(_shifted(word, final.start_ms) for word in transcript.words)
        start_ms, end_ms = committed.speech_ms
        self._out.append(Tell(say.FinalTranscript(transcript.text, start_ms, end_ms, words)))
        self._complete.append(
            HeardTurn(
                final.turn_id,
                transcript.text,
                committed.at,
                committed.pause_ms,
                final.stt_ms,
                say.turn_message_id(end_ms),
            )
        )


def _shifted(word: Word, by_ms: int) -> Word:
    return replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms)
