"""serve_app.audio.pcm"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.audio.pcm import (
    SILENCE_DBFS,
    check_whole_samples,
    duration_ms,
    f32_of_pcm,
    from_float,
    level_dbfs,
    pcm_of_f32,
    to_float,
)
from serve_app.errors import PeerError


@given(st.lists(st.integers(-32_768, 32_767)))
def test_samples_survive_the_way_to_float_and_back(samples: list[int]) -> None:
    """Every int16 value comes back exact, and its float lies in [-1, 1)."""
    pcm = np.array(samples, "<i2").tobytes()
    floats = to_float(pcm)
    assert floats.dtype == np.float32
    assert floats.shape == (len(samples),)
    assert all(-1 <= value < 1 for value in floats)
    assert from_float(floats) == pcm


def test_bytes_are_little_endian() -> None:
    """0x4000 little endian is half of full scale."""
    assert to_float(b"\x00\x40").tolist() == [0.5]


def test_loud_floats_are_clipped() -> None:
    """Values outside the range do not wrap around."""
    assert from_float(np.array([1.5, -1.5], np.float32)) == b"\xff\x7f\x00\x80"


@pytest.mark.parametrize("length", [1, 321])
def test_half_a_sample_is_refused(length: int) -> None:
    """An odd number of bytes is a typed error that does not end the call."""
    with pytest.raises(PeerError) as caught:
        check_whole_samples(bytes(length))
    assert (caught.value.code, caught.value.close_code) == ("invalid_audio", None)


def test_whole_samples_pass() -> None:
    """An even number of bytes, none included, is accepted."""
    check_whole_samples(b"")
    check_whole_samples(bytes(320))


@pytest.mark.parametrize(
    ("value", "level"), [(1.0, 0.0), (0.1, -20.0), (0.0, SILENCE_DBFS), (1e-9, SILENCE_DBFS)]
)
def test_level_of_a_constant(value: float, level: float) -> None:
    """A square wave of full scale is 0 dBFS; silence has a finite level."""
    assert level_dbfs(np.full(512, value, np.float32)) == pytest.approx(level, abs=1e-3)


def test_level_of_nothing_is_silence() -> None:
    """No samples, no level to compute."""
    assert level_dbfs(np.zeros(0, np.float32)) == SILENCE_DBFS


def test_duration_counts_samples() -> None:
    """320 bytes are 160 samples: 10 ms at 16 kHz."""
    assert duration_ms(bytes(320), 16_000) == 10


@given(st.lists(st.integers(-32_768, 32_767)))
def test_samples_survive_the_way_as_floats(samples: list[int]) -> None:
    """Four bytes each, little endian, and back."""
    pcm = np.array(samples, "<i2").tobytes()
    data = f32_of_pcm(pcm)
    assert len(data) == 4 * len(samples)
    assert pcm_of_f32(data) == pcm


@given(st.binary())
def test_any_floats_are_samples(data: bytes) -> None:
    """Infinities, what is no number, and what is too loud among them; but no cut ones."""
    if len(data) % 4:
        with pytest.raises(PeerError, match="4 bytes"):
            pcm_of_f32(data)
    else:
        assert len(pcm_of_f32(data)) == len(data) // 2


def test_no_number_is_silence() -> None:
    """And an infinity is as loud as can be."""
    data = np.array([np.nan, np.inf, -np.inf, 2.0], "<f4").tobytes()
    assert np.frombuffer(pcm_of_f32(data), "<i2").tolist() == [0, 32_767, -32_768, 32_767]
