"""serve_app.audio.resample"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.audio.resample import Resampler, frame_pcm, pcm_frame, resample_all

Tone = Callable[[float, int, float], bytes]
RATES = [8000, 16_000, 24_000, 48_000]


def split(pcm: bytes, sizes: list[int]) -> list[bytes]:
    """Cut PCM into pieces of these many samples, over and over."""
    pieces: list[bytes] = []
    at = turn = 0
    while at < len(pcm):
        size = 2 * sizes[turn % len(sizes)]
        pieces.append(pcm[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def stream(pieces: list[bytes], source: int, target: int) -> bytes:
    """All of the pieces through one resampler."""
    resampler = Resampler(source, target)
    return b"".join([resampler.push(piece) for piece in pieces]) + resampler.finish()


def spectrum_peak(pcm: bytes, rate: int) -> float:
    """The strongest frequency in Hz."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@settings(max_examples=40, deadline=None)
@given(
    source=st.sampled_from([*RATES, 11_025, 22_050, 44_100]),
    target=st.sampled_from([16_000, 24_000]),
    length=st.integers(1, 40) | st.integers(1, 9000),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=6),
)
def test_length_and_samples_do_not_depend_on_the_pieces(
    source: int, target: int, length: int, sizes: list[int]
) -> None:
    """Any cut gives the same output, within 1 ms of as long as the input."""
    samples = np.random.default_rng(length).normal(0, 5000, length)
    pcm = np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()
    whole = stream([pcm], source, target)
    assert stream(split(pcm, sizes), source, target) == whole
    assert len(whole) / 2 / target == pytest.approx(length / source, abs=0.001)


@pytest.mark.parametrize("source", [8000, 22_050, 24_000, 44_100, 48_000])
def test_little_is_held_back(source: int, tone: Tone) -> None:
    """A stream in 20 ms pieces is never more than 2.5 ms behind."""
    resampler = Resampler(source, 16_000)
    given = received = 0
    for piece in split(tone(440, source, 1.0), [source // 50]):
        given += len(piece)
        received += len(resampler.push(piece))
        assert given / 2 / source - received / 2 / 16_000 <= 0.0025


@pytest.mark.parametrize("convert", [resample_all, lambda *a: stream([a[0]], *a[1:])])
@pytest.mark.parametrize("source", [8000, 24_000, 48_000])
def test_a_tone_keeps_its_pitch_and_level(
    convert: Callable[[bytes, int, int], bytes], source: int, tone: Tone
) -> None:
    """1 kHz stays 1 kHz at the same level, from every rate."""
    changed = convert(tone(1000, source, 1.0), source, 16_000)
    assert spectrum_peak(changed, 16_000) == pytest.approx(1000, abs=2)
    level = np.std(np.frombuffer(changed, "<i2").astype(float))
    assert level == pytest.approx(16_384 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("convert", [resample_all, lambda *a: stream([a[0]], *a[1:])])
def test_what_the_new_rate_cannot_carry_is_filtered(
    convert: Callable[[bytes, int, int], bytes], tone: Tone
) -> None:
    """12 kHz does not fold back into 16 kHz audio (at least 40 dB down)."""
    changed = np.frombuffer(convert(tone(12_000, 48_000, 1.0), 48_000, 16_000), "<i2")
    assert np.std(changed[400:-400].astype(float)) < 16_384 / np.sqrt(2) / 100


def test_equal_rates_cost_nothing(tone: Tone) -> None:
    """The very same bytes come back, at once."""
    pcm = tone(440, 16_000, 0.1)
    resampler = Resampler(16_000, 16_000)
    assert resampler.push(pcm) is pcm
    assert resampler.finish() == b""
    assert resample_all(pcm, 16_000, 16_000) is pcm


def test_a_finished_stream_starts_afresh(tone: Tone) -> None:
    """After `finish` the same input gives the same output: nothing leaks from before."""
    resampler = Resampler(48_000, 16_000)
    pcm = tone(440, 48_000, 0.1)
    first = resampler.push(pcm) + resampler.finish()
    assert resampler.push(pcm) + resampler.finish() == first


def test_reset_drops_what_is_held_back(tone: Tone) -> None:
    """After `reset` silence is exactly silent."""
    resampler = Resampler(48_000, 16_000)
    resampler.push(tone(440, 48_000, 0.1))
    resampler.reset()
    silence = resampler.push(bytes(9600)) + resampler.finish()
    assert len(silence) == 3200
    assert not any(silence)


def test_nothing_in_nothing_out() -> None:
    """Empty pieces are no input; a stream of none has no tail."""
    resampler = Resampler(8000, 16_000)
    assert resampler.push(b"") == b""
    assert resampler.finish() == b""
    assert resample_all(b"", 8000, 16_000) == b""


@pytest.mark.parametrize(("source", "target"), [(0, 16_000), (16_000, 0), (-8000, 16_000)])
def test_impossible_rates_are_our_bug(source: int, target: int) -> None:
    """Rates are checked where a client names them; here a bad one fails loudly."""
    with pytest.raises(ValueError, match="rate"):
        Resampler(source, target)


@pytest.mark.parametrize("samples", [1, 7, 320, 5001])
def test_frames_hold_exactly_their_samples(samples: int) -> None:
    """FFmpeg's padding never reaches us."""
    pcm = np.arange(samples).astype("<i2").tobytes()
    assert frame_pcm(pcm_frame(pcm, 16_000)) == pcm
