"""The plain rule for turns: enough silent frames end one, enough voice frames interrupt.

The control decides by it, and the yardstick says with it when a decision was due. It has no
patience, no partial words and no second thoughts: it is the floor.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from bench.plan import INTERRUPT_FRAMES, PAUSE_FRAMES

Decision: TypeAlias = Literal["started", "interrupting", "pausing", "went_on", "ended"]

VOICE, SILENCE = 0.5, 0.35
"""Two thresholds, as Parley has them."""
START_FRAMES = 3
CANDIDATE_FRAMES = 2
"""Silent frames that may be the end: what Parley's `speculate_after_ms` of 64 comes to."""


class Ear:
    """Follows the voice probabilities of one call, a frame of 32 ms at a time."""

    def __init__(self) -> None:
        self._voiced = False
        self._speaking = False
        self._voice_frames = 0
        self._silent_frames = 0

    def hear(self, probability: float) -> Decision | None:
        """What the next frame decides."""
        self._voiced = probability >= (SILENCE if self._voiced else VOICE)
        return self._voice() if self._voiced else self._silence()

    def _voice(self) -> Decision | None:
        went_on = self._silent_frames >= CANDIDATE_FRAMES
        self._silent_frames = 0
        self._voice_frames += 1
        if not self._speaking:
            if self._voice_frames < START_FRAMES:
                return None
            self._speaking = True
            return "started"
        if self._voice_frames == INTERRUPT_FRAMES:
            return "interrupting"
        return "went_on" if went_on else None

    def _silence(self) -> Decision | None:
        if not self._speaking:
            self._voice_frames = 0
            return None
        self._silent_frames += 1
        if self._silent_frames == PAUSE_FRAMES:
            self._speaking, self._voice_frames, self._silent_frames = False, 0, 0
            return "ended"
        return "pausing" if self._silent_frames == CANDIDATE_FRAMES else None
