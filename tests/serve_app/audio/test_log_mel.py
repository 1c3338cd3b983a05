"""serve_app.audio.log_mel"""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.audio.log_mel import BANDS, log_mel

RATE = 16_000
CHIRP = {
    0: [1.3879, 0.8066, 0.507, 0.3397, 0.2029, 0.0829, -0.0523, -0.1716, -0.28, -0.3655],
    400: [-0.5481] * 7 + [-0.4404, -0.5481, -0.5481],
    799: [-0.485, -0.484, -0.4814, -0.4773, -0.4741, -0.4503, -0.434, -0.1231, -0.3053, -0.0691],
}
"""Every eighth band of some columns of the chirp below, by Whisper's own feature extractor."""


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """A tone at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(RATE * seconds)) / RATE)).astype("f4")


def test_the_features_are_whispers() -> None:
    """A chirp over a faint one, eight seconds, against the reference's values."""
    time = np.arange(8 * RATE) / RATE
    loud = 0.5 * np.sin(2 * np.pi * (100 + 450 * time) * time)
    features = log_mel((loud + 0.001 * np.cos(time * time * 5_000)).astype(np.float32))
    for column, expected in CHIRP.items():
        assert features[::8, column] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("samples", [400, 1_600, 16_000, 16_159, 128_000])
def test_a_column_every_ten_milliseconds(samples: int) -> None:
    """80 bands, whole hops only, ready for a network."""
    features = log_mel(np.zeros(samples, np.float32))
    assert features.shape == (BANDS, samples // 160)
    assert features.dtype == np.float32


def test_silence_is_flat() -> None:
    """Everything at the smallest power: 10 decades down, brought to (−10 + 4) / 4."""
    assert log_mel(np.zeros(RATE, np.float32)) == pytest.approx(np.full((80, 100), -1.5))


def test_a_higher_tone_is_in_a_higher_band() -> None:
    """Bands rise with pitch, up to half of the sample rate."""
    loudest = [
        int(log_mel(sine(hertz))[:, 50].argmax()) for hertz in (60, 500, 1_000, 4_000, 7_900)
    ]
    assert loudest == sorted(set(loudest))
    assert loudest[0] < 3
    assert loudest[-1] == BANDS - 1


def test_ten_times_as_loud_is_half_a_step_up() -> None:
    """Two decades of power, a quarter each."""
    rise = log_mel(sine(440)) - log_mel(sine(440) / 10)
    assert rise[:, 50] == pytest.approx(np.full(BANDS, 0.5), abs=1e-3)


def test_nothing_lies_more_than_eight_decades_below_the_loudest() -> None:
    """What is fainter is all the same."""
    features = log_mel(np.concatenate([sine(440), np.zeros(RATE, np.float32)]))
    assert features.max() - features.min() == pytest.approx(2.0)
    assert np.all(features[:, 150] == features.min())


def test_columns_are_centred_on_their_time() -> None:
    """A click half a second in is in the column of that time and those 10 ms beside it."""
    click = np.zeros(RATE, np.float32)
    click[8_000] = 1.0
    loudness = log_mel(click).max(axis=0)
    assert np.flatnonzero(loudness > loudness.min() + 0.01).tolist() == [49, 50, 51]
    assert loudness.argmax() == 50
