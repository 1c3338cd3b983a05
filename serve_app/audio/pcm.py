"""PCM as bytes and as samples: the conversions between them, and levels.

Bytes are int16 little endian mono; float samples lie in [-1, 1).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import PeerError

Samples: TypeAlias = NDArray[np.float32]

BYTES_PER_SAMPLE = 2
BYTES_PER_FLOAT = 4
SILENCE_DBFS = -96.0
"""The level of digital silence: below the smallest step of int16."""

_FULL_SCALE = np.float32(32768)


def check_whole_samples(pcm: bytes) -> bytes:
    """The same. Raises PeerError `invalid_audio` where the last sample is cut in half."""
    if len(pcm) % BYTES_PER_SAMPLE:
        raise PeerError("invalid_audio", f"PCM16 needs an even number of bytes, not {len(pcm)}.")
    return pcm


def pcm_of_f32(data: bytes) -> bytes:
    """int16 PCM of float32 samples in little endian; what is no number is silence.

    Raises PeerError `invalid_audio` where the last sample is cut.
    """
    if len(data) % BYTES_PER_FLOAT:
        raise PeerError("invalid_audio", f"float32 needs 4 bytes a sample, not {len(data)} bytes.")
    samples = np.nan_to_num(np.frombuffer(data, "<f4"), nan=0.0, posinf=1.0, neginf=-1.0)
    return from_float(np.clip(samples, -1.0, 1.0))


def f32_of_pcm(pcm: bytes) -> bytes:
    """float32 samples, in little endian, of int16 PCM."""
    return to_float(pcm).astype("<f4").tobytes()


def to_float(pcm: bytes | bytearray) -> Samples:
    """Samples of whole int16 PCM, shape (n,)."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE


def from_float(samples: Samples) -> bytes:
    """int16 PCM of samples, rounded; what lies outside the range is clipped."""
    return np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype("<i2").tobytes()


def level_dbfs(samples: Samples) -> float:
    """RMS level in dB relative to full scale (a full-scale square wave is 0)."""
    if not samples.size:
        return SILENCE_DBFS
    power = float(np.dot(samples, samples)) / samples.size
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS


def duration_ms(pcm: bytes, rate: int) -> float:
    """Length of PCM at `rate` Hz."""
    return len(pcm) / BYTES_PER_SAMPLE * 1000 / rate
