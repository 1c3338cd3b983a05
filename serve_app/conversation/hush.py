"""The quiet at the end of speech, by its level: known long before the voice detector knows it."""

from __future__ import annotations

TAIL_MS = 128
"""So long a detector may hear voice in the quiet after it: its certainty falls in steps. What it
takes for voice later than that is, though the level says no."""

ONSET_MS = 96
"""So long after the level rose a detector may still hear no voice."""


class Hush:
    """The last quiet of a call. Times are ms of the call's audio."""

    def __init__(self) -> None:
        self.at_ms = 0
        """Where it began."""
        self.heard_ms = 0
        """How much of the call was heard when it was noticed."""
        self._until_ms: int | None = -ONSET_MS

    def begin(self, at_ms: int, heard_ms: int) -> None:
        """The level dropped."""
        self.at_ms, self.heard_ms, self._until_ms = at_ms, heard_ms, None

    def end(self, at_ms: int) -> None:
        """The level rose."""
        self._until_ms = at_ms

    def lasts(self, voice_end_ms: int) -> bool:
        """It is quiet, and the voice that ended at `voice_end_ms`, if any, ended with that."""
        return self._until_ms is None and voice_end_ms <= self.at_ms + TAIL_MS

    def just_ended(self, now_ms: int) -> bool:
        """The level rose so lately that it may yet be voice."""
        return self._until_ms is not None and now_ms < self._until_ms + ONSET_MS

    def spoken_to_ms(self, voice_end_ms: int) -> int:
        """Where speech ended that the voice detector has end at `voice_end_ms`.

        Sooner, if all between was quiet.
        """
        quiet_to_ms = self.at_ms + TAIL_MS
        if self._until_ms is not None:
            quiet_to_ms = min(quiet_to_ms, self._until_ms)
        return min(voice_end_ms, self.at_ms) if voice_end_ms <= quiet_to_ms else voice_end_ms
