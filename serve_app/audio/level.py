"""Where a caller's level falls far below that of the speech before: a sign of its end, at once.

A voice detector takes 50 to 100 ms to be sure of silence. This needs 15, and is often wrong: a
stop consonant, too, is silent for as long. So nothing may be decided by it but what can be undone.
"""

from __future__ import annotations

import numpy as np

from deployments.contracts import SPEECH_RATE
from serve_app.audio.pcm import BYTES_PER_SAMPLE, Samples, to_float
from serve_app.conversation.events import LevelDropped, LevelRose

STEP_MS = 5
QUIET_STEPS = 3
"""Quiet steps in a row that are a drop: the slowest voices pulse every 12 ms."""

_STEP = STEP_MS * SPEECH_RATE // 1000
_STEP_BYTES = _STEP * BYTES_PER_SAMPLE
_QUIETEST_DBFS = -60.0
_BELOW_SPEECH_DB = 24.0
"""A consonant at the end of a word is louder than that."""
_ABOVE_NOISE_DB = 6.0
_LEAST_CONTRAST_DB = 12.0
"""With speech closer to the noise than that nobody can tell a drop."""
_RISE_DB = 3.0
"""So much louder than quiet is a rise."""
_SPEECH_ATTACK = 0.2
_SPEECH_FALL_DB = 5.0 * STEP_MS / 1000
_NOISE_RISE_DB = 4.0 * STEP_MS / 1000
_NOISE_FALL = 0.3


class LevelTracker:
    """One call's level, in steps of 5 ms. Times are ms of the call's audio.

    The speech's level follows the louder steps at once and falls by 5 dB a second; the noise's
    follows the quieter ones and rises by 4, so that it is learned in any pause.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._now_ms = 0
        self._speech = self._noise = _QUIETEST_DBFS
        self._quiet_steps = 0
        self._dropped = False

    def push(self, pcm: bytes) -> list[LevelDropped | LevelRose]:
        """What the next of the call's audio (16 kHz PCM) shows, in order."""
        pcm = self._rest + pcm
        whole = len(pcm) // _STEP_BYTES * _STEP_BYTES
        self._rest = pcm[whole:]
        events: list[LevelDropped | LevelRose] = []
        for level in _levels(to_float(pcm[:whole]).reshape(-1, _STEP)):
            self._now_ms += STEP_MS
            if event := self._step(level):
                events.append(event)
        return events

    def _step(self, level: float) -> LevelDropped | LevelRose | None:
        quiet_below = max(self._speech - _BELOW_SPEECH_DB, self._noise + _ABOVE_NOISE_DB)
        self._follow(level)
        if self._dropped:
            if level <= quiet_below + _RISE_DB:
                return None
            self._dropped, self._quiet_steps = False, 0
            return LevelRose(self._now_ms - STEP_MS)
        self._quiet_steps = self._quiet_steps + 1 if level <= quiet_below else 0
        if self._quiet_steps < QUIET_STEPS or self._speech - quiet_below < _LEAST_CONTRAST_DB:
            return None
        self._dropped = True
        return LevelDropped(self._now_ms - self._quiet_steps * STEP_MS, self._now_ms)

    def _follow(self, level: float) -> None:
        above = level - self._speech
        self._speech += above * _SPEECH_ATTACK if above > 0 else -_SPEECH_FALL_DB
        self._speech = max(self._speech, _QUIETEST_DBFS)
        above = level - self._noise
        self._noise += min(above, _NOISE_RISE_DB) if above > 0 else above * _NOISE_FALL


def _levels(steps: Samples) -> list[float]:
    """The level of each row in dBFS."""
    power = np.einsum("ij,ij->i", steps, steps) / _STEP
    return np.maximum(10 * np.log10(power + 1e-12), _QUIETEST_DBFS).tolist()
