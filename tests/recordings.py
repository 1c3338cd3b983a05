"""Recordings for tests of voices: wav bytes of a tone, of any form and length."""

from __future__ import annotations

import io
import wave

import numpy as np


def tone_wav(
    seconds: float, rate: int = 24_000, channels: int = 1, width: int = 2, amplitude: float = 0.3
) -> bytes:
    """A wav file of a 220 Hz tone."""
    times = np.arange(round(seconds * rate)) / rate
    wave_ = amplitude * np.sin(2 * np.pi * 220 * times)
    samples = np.repeat(wave_, channels) * (2 ** (8 * width - 1) - 1)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype({1: "u1", 2: "<i2", 4: "<i4"}[width]).tobytes())
    return out.getvalue()
