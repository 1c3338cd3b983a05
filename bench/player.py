"""What a caller hears of one reply: the first audible sample, and the gaps of a small buffer."""

from __future__ import annotations

import numpy as np

BUFFER_S = 0.08
"""The player begins this long after the first audio, and again after each gap."""
AUDIBLE = 200
"""Smallest sample that is heard: about -44 dBFS."""


class Player:
    """Plays what arrives. All times in s, on the caller's clock."""

    def __init__(self) -> None:
        self.first_at: float | None = None
        """When the first audio arrived."""
        self.audible_at: float | None = None
        """When the first audible sample would sound, played at once."""
        self.last_at: float | None = None
        """When the last audio arrived."""
        self.dry_at: float | None = None
        """When the buffer runs empty, as far as is known."""
        self.underruns = 0
        self.audio_s = 0.0

    def take(self, at: float, pcm: bytes, rate: int) -> None:
        """Audio arrived."""
        self._count_gap(at)
        if self.first_at is None:
            self.first_at = at
        if self.audible_at is None:
            self._look_for_sound(at, pcm, rate)
        length_s = len(pcm) / 2 / rate
        self.last_at = at
        self.audio_s += length_s
        self.dry_at = (self.dry_at or at + BUFFER_S) + length_s

    def over(self, now: float, quiet_s: float) -> bool:
        """The reply was heard, and nothing came for so long."""
        if self.dry_at is None or self.last_at is None or self.audible_at is None:
            return False
        return now >= max(self.dry_at, self.last_at) + quiet_s

    def _count_gap(self, at: float) -> None:
        if self.dry_at is not None and at > self.dry_at:
            self.underruns += 1
            self.dry_at = at + BUFFER_S

    def _look_for_sound(self, at: float, pcm: bytes, rate: int) -> None:
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) >= AUDIBLE)
        if loud.size and self.first_at is not None:
            self.audible_at = max(at, self.first_at + self.audio_s) + float(loud[0]) / rate
