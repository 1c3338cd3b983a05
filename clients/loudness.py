"""How loud int16 mono samples are, where sound begins in them and where it ends. Pure."""

from __future__ import annotations

import math
from array import array
from operator import mul
from typing import Final

AUDIBLE: Final = 300
"""Least sample value that a listener notices: -41 dB of full scale."""

SILENCE_DBFS: Final = -96.0
"""What 16 bits cannot hold any more."""

_WINDOW_MS = 10
_VOICED = 0.05
_RISE_DB = 4.0 * 0.02
_FALL = 0.3


def first_audible(pcm: bytes) -> int | None:
    """Index of the first sample that can be heard, None where there is none."""
    samples = array("h", pcm)
    return next((index for index, value in enumerate(samples) if abs(value) >= AUDIBLE), None)


def voice_end_ms(pcm: bytes, rate: int) -> int:
    """End of the last 10 ms that are louder than 5 % of the loudest; 0 for silence.

    `rate` in Hz. Speech fades out: the threshold is low, so that the end is found too late
    rather than too early, and a delay measured from it is too short by that at most.
    """
    window = rate * _WINDOW_MS // 1000
    samples = array("h", pcm)
    levels = [_rms(samples[at : at + window]) for at in range(0, len(samples), window)]
    threshold = max(levels, default=0.0) * _VOICED
    voiced = [index for index, level in enumerate(levels) if level > threshold]
    return (voiced[-1] + 1) * _WINDOW_MS if voiced else 0


def level_dbfs(pcm: bytes) -> float:
    """Their level, relative to full scale."""
    rms = _rms(array("h", pcm)) if pcm else 0.0
    return max(20 * math.log10(rms / 32768), SILENCE_DBFS) if rms else SILENCE_DBFS


class NoiseFloor:
    """The level of what is always there: follows the quietest at once, all else by 4 dB a second.

    For frames of 20 ms.
    """

    def __init__(self) -> None:
        self.dbfs = -60.0
        """As in a quiet room, until more is known."""

    def follow(self, dbfs: float) -> None:
        """The level of the next frame."""
        above = dbfs - self.dbfs
        self.dbfs += min(above, _RISE_DB) if above > 0 else above * _FALL


def _rms(samples: array[int]) -> float:
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples))
