"""What is known of a turn while the caller speaks."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.conversation.finals import Final
from serve_app.conversation.partials import Partials


@dataclass(slots=True)
class OpenTurn:
    """Times in ms of the call's audio."""

    turn_id: int
    speech_start_ms: int
    window_start_ms: int
    partials: Partials
    candidate_ms: int = 0
    final: Final | None = None
    words: str = ""
    words_to_ms: int = 0
    answered_ms: int = 0
    revisions: int = 0
    early_asks: int = 0

    def hear(self, voice_end_ms: int) -> None:
        """Voice was heard up to there: after a pause, the turn goes on."""
        if self.candidate_ms and voice_end_ms > self.candidate_ms:
            # A pause too short for a reply to begin in it is no revision: there are many.
            self.revisions += self.answered_ms == self.candidate_ms
            self.candidate_ms, self.final = 0, None

    def covering(self, spoken_to_ms: int) -> Final | None:
        """Its final, if all that was said lies in its window."""
        return self.final if self.final and self.final.end_ms >= spoken_to_ms else None

    def drop_final(self) -> None:
        """What was asked for is no final after all: it may yet be shown, as a partial."""
        if self.final and self.final.transcript is None:
            self.partials.adopt(self.final.window_id, self.final.end_ms)
        self.final = None

    def failed(self, window_id: int) -> None:
        """A window's transcript will not come."""
        if window_id == self.partials.awaited:
            self.partials.awaited = None
        elif self.final and window_id == self.final.window_id:
            self.final = None
