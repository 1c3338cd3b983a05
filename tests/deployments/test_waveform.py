"""Float audio as int16, whatever a model makes."""

from __future__ import annotations

import numpy as np

from deployments.waveform import cut, to_pcm


def test_samples_are_scaled_and_clipped() -> None:
    """Full scale is the loudest; beyond it nothing wraps round, and NaN is silence."""
    samples = np.array([0.0, 0.5, 1.0, -1.0, 3.0, -3.0, np.nan, np.inf, -np.inf], np.float32)
    assert np.frombuffer(to_pcm(samples), "<i2").tolist() == [
        0,
        16_383,
        32_767,
        -32_767,
        32_767,
        -32_767,
        0,
        32_767,
        -32_767,
    ]


def test_audio_is_cut_into_chunks_of_80_ms() -> None:
    """Nothing is lost; the last is shorter."""
    chunks = list(cut(np.linspace(-1, 1, 5_000), 24_000))
    assert [chunk.duration_ms for chunk in chunks] == [80, 80, 1160 / 24]
    assert b"".join(chunk.pcm for chunk in chunks) == to_pcm(np.linspace(-1, 1, 5_000))
