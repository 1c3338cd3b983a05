"""A model's float audio as the int16 chunks that a stage gives. Knows no model and no codec."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deployments.contracts import AudioChunk

CHUNK_MS = 80
"""Length of a chunk: what the fastest of the voices makes in one step."""


def to_pcm(samples: NDArray[np.floating]) -> bytes:
    """Samples of -1 to 1 as int16; what is louder is clipped, what is not a number is silence."""
    heard = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    return (np.clip(heard, -1.0, 1.0) * 32_767).astype("<i2").tobytes()


def cut(samples: NDArray[np.floating], rate: int) -> Iterator[AudioChunk]:
    """Samples of `rate` in chunks of 80 ms; the last is shorter."""
    step = rate * CHUNK_MS // 1000
    for start in range(0, len(samples), step):
        yield AudioChunk(to_pcm(samples[start : start + step]), rate)
