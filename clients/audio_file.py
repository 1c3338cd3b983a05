"""Audio files: any common format → samples, what was played → a WAV file. Decodes by PyAV."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from clients.playback import Stretch

LONGEST_GAP_S: Final = 0.5
"""Silence between two stretches of a recording: as long as it was, but at most this."""


class AudioFileError(Exception):
    """A file that cannot be read or written. The text is one line that names it."""


def read_speech(path: Path, rate: int) -> bytes:
    """The file's first audio track as int16 mono samples at `rate` Hz. Raises AudioFileError."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioFileError(f"{path}: no audio in it")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            pieces: list[AudioFrame] = []
            for frame in container.decode(container.streams.audio[0]):
                pieces += resampler.resample(frame)
            pieces += resampler.resample(None)
    except FileNotFoundError as error:
        raise AudioFileError(f"{path}: no such file") from error
    except (FFmpegError, OSError) as error:
        raise AudioFileError(f"{path}: not an audio file that can be read") from error
    return b"".join(map(_samples, pieces))


class Resampler:
    """A stream of int16 mono samples to another rate, without a seam between its pieces."""

    def __init__(self, rate: int, new_rate: int) -> None:
        """Both in Hz."""
        self.rate = rate
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=new_rate)

    def push(self, pcm: bytes) -> bytes:
        """What can be said of the output by now: a millisecond or two is held back."""
        frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = self.rate
        frame.planes[0].update(pcm)
        return b"".join(map(_samples, self._resampler.resample(frame)))

    def finish(self) -> bytes:
        """What was held back."""
        return b"".join(map(_samples, self._resampler.resample(None)))


def resampled(pcm: bytes, rate: int, new_rate: int) -> bytes:
    """Int16 mono samples at another rate."""
    if rate == new_rate or not pcm:
        return pcm
    resampler = Resampler(rate, new_rate)
    return resampler.push(pcm) + resampler.finish()


def write_wav(path: Path, played: Sequence[Stretch]) -> float:
    """Write what was played, 16 bit, at the first stretch's rate. Returns its length in seconds.

    Raises AudioFileError.
    """
    rate = played[0].rate if played else 16_000
    pcm = _joined(played, rate)
    try:
        with path.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm)
    except OSError as error:
        raise AudioFileError(f"{path}: cannot be written: {error.strerror}") from error
    return len(pcm) / 2 / rate


def _joined(played: Sequence[Stretch], rate: int) -> bytes:
    pieces: list[bytes] = []
    ended_at: float | None = None
    for run in _runs(played):
        if ended_at is not None:
            gap_s = min(run[0].at - ended_at, LONGEST_GAP_S)
            pieces.append(bytes(2 * round(gap_s * rate)))
        pieces.append(resampled(b"".join(one.pcm for one in run), run[0].rate, rate))
        ended_at = run[-1].ends_at
    return b"".join(pieces)


def _runs(played: Sequence[Stretch]) -> list[list[Stretch]]:
    """Stretches that follow each other without a gap, together: a resampler clicks at its ends."""
    runs: list[list[Stretch]] = []
    for one in played:
        last = runs[-1][-1] if runs else None
        if last is not None and last.rate == one.rate and one.at - last.ends_at < 1 / one.rate:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _samples(frame: AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * 2]
