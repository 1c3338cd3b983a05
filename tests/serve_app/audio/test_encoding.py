"""serve_app.audio.encoding and tempo: files as they are made, and speech at another pace."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from serve_app.audio.encoding import FILE_FORMATS, RATE, FileEncoder, FileFormat
from serve_app.audio.tempo import Tempo

PIECE = RATE // 10 * 2
SECONDS = 3.0
CONTAINED: list[FileFormat] = [name for name in FILE_FORMATS if name != "pcm"]


@pytest.fixture
def pcm() -> bytes:
    """A tone of 440 Hz."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    return (np.sin(2 * np.pi * 440 * times) * 10_000).astype("<i2").tobytes()


def pieces(pcm: bytes) -> list[bytes]:
    """As a voice makes them."""
    return [pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE)]


def samples_of(data: bytes) -> np.ndarray:
    """What a player makes of a file, -1 to 1."""
    with av.open(io.BytesIO(data)) as file:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames])


def hertz(samples: np.ndarray) -> float:
    """The strongest tone."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * RATE / len(samples))


@pytest.mark.parametrize("format", CONTAINED)
def test_a_file_is_what_was_said(format: FileFormat, pcm: bytes) -> None:
    """The same length, level and tone."""
    encoder = FileEncoder(format)
    heard = samples_of(b"".join(map(encoder.push, pieces(pcm))) + encoder.finish())
    assert len(heard) / RATE == pytest.approx(SECONDS, abs=0.12)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(10_000 / 32_768 / np.sqrt(2), rel=0.08)
    assert hertz(heard) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("format", FILE_FORMATS)
def test_a_file_comes_as_it_is_made(format: FileFormat, pcm: bytes) -> None:
    """After half a second of speech there is some of it, and each half second adds more."""
    encoder = FileEncoder(format)
    halves = [pcm[at : at + RATE] for at in range(0, len(pcm), RATE)]
    assert all(len(encoder.push(half)) > 500 for half in halves)


def test_pcm_is_itself(pcm: bytes) -> None:
    """No header, nothing held back."""
    encoder = FileEncoder("pcm")
    assert b"".join(map(encoder.push, pieces(pcm))) + encoder.finish() == pcm


@pytest.mark.parametrize("format", FILE_FORMATS)
def test_a_file_of_nothing(format: FileFormat) -> None:
    """Is finished as well."""
    FileEncoder(format).finish()


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.5, 4.0])
def test_the_pace_changes_and_the_pitch_stays(speed: float, pcm: bytes) -> None:
    """A tone is as many times shorter, and the same tone."""
    tempo = Tempo(RATE, speed)
    changed = b"".join(map(tempo.push, pieces(pcm))) + tempo.finish()
    samples = np.frombuffer(changed, "<i2").astype(np.float32)
    assert len(samples) / RATE == pytest.approx(SECONDS / speed, abs=0.1)
    assert hertz(samples) == pytest.approx(440, abs=6)
