"""Where sound is in int16 mono samples: the two ends of an end-to-end measurement. Pure."""

from __future__ import annotations

import math
from array import array
from typing import Final

AUDIBLE: Final = 300
"""Least sample value that a listener notices: -41 dB of full scale."""

_WINDOW_MS = 10
_VOICED = 0.05


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


def _rms(samples: array[int]) -> float:
    return math.sqrt(sum(value * value for value in samples) / len(samples))
