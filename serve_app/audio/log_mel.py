"""Whisper's features of speech: how loud each of 80 bands of pitch is, every 10 ms.

As Whisper's paper and code define them: 25 ms Hann windows every 10 ms, centred, the signal
mirrored at its ends; power in 80 triangular bands, evenly spaced on Slaney's mel scale, each of
unit area; its logarithm, at most 8 decades below the loudest, brought to about -1…1.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deployments.contracts import SPEECH_RATE
from serve_app.audio.pcm import Samples

BANDS = 80
HOP = SPEECH_RATE // 100
"""Samples from one column of features to the next."""

_WINDOW = SPEECH_RATE // 40
_SMALLEST_POWER = 1e-10
_DECADES = 8.0

# Slaney's scale: linear up to 1 kHz, then logarithmic.
_KNEE_HZ = 1_000.0
_KNEE_MEL = 15.0
_MELS_PER_E = 27.0 / math.log(6.4)


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """Features of 16 kHz samples, shape (n,), n at least 400: shape (80, n // 160)."""
    mirrored = np.pad(samples, _WINDOW // 2, mode="reflect")
    columns = len(samples) // HOP
    windows = sliding_window_view(mirrored, _WINDOW)[::HOP][:columns]
    spectrum = np.fft.rfft(windows * _hann())
    power = np.ascontiguousarray((np.square(spectrum.real) + np.square(spectrum.imag)).T)
    bands = np.stack([weights @ power[first:last] for first, last, weights in _bands()])
    decades = np.log10(np.maximum(bands, _SMALLEST_POWER))
    return (np.maximum(decades, decades.max() - _DECADES) / 4 + 1).astype(np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    """A window that continues itself: its period is its length."""
    phase = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@cache
def _bands() -> list[tuple[int, int, NDArray[np.float32]]]:
    """Each band's frequencies, from and to, and how much each of them counts.

    Not one matrix: it is nearly all zeros, and large products wake every thread of the library.
    """
    frequencies = np.linspace(0, SPEECH_RATE / 2, _WINDOW // 2 + 1)
    highest = _KNEE_MEL + math.log(SPEECH_RATE / 2 / _KNEE_HZ) * _MELS_PER_E
    corners = [_hertz(mel) for mel in np.linspace(0, highest, BANDS + 2)]
    bands: list[tuple[int, int, NDArray[np.float32]]] = []
    for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
        weights = np.interp(frequencies, (low, middle, high), (0, 1, 0)) * 2 / (high - low)
        first, last = np.flatnonzero(weights)[[0, -1]]
        bands.append((int(first), int(last) + 1, weights[first : last + 1].astype(np.float32)))
    return bands


def _hertz(mel: float) -> float:
    if mel < _KNEE_MEL:
        return mel * _KNEE_HZ / _KNEE_MEL
    return _KNEE_HZ * math.exp((mel - _KNEE_MEL) / _MELS_PER_E)
