"""A reference recording, for voices that clone one."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

_RATE = 24_000


def write_recording(path: Path, seconds: float, pitch_hz: float = 150.0) -> None:
    """Mono int16 of 24 kHz: bursts of a tone, which nobody would take for a voice."""
    time = np.arange(int(seconds * _RATE)) / _RATE
    burst = np.sin(2 * np.pi * 3 * time) > 0
    samples = 6_000 * np.sin(2 * np.pi * pitch_hz * time) * burst
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
