"""Files that somebody uploads → PCM, piece by piece: any common format, and nothing but its sound.

Decoders see only formats that hold audio alone, so that no playlist makes them open another file
or address. Nothing here says how long a file may be: whoever reads the pieces stops.
"""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from serve_app.audio.resample import frame_pcm

FORMATS = "wav,mp3,flac,ogg,aac,mov,mp4,m4a,matroska,webm"
"""FFmpeg's names of what is read."""

RATES = range(8_000, 192_001)
"""Sample rates of a file, in Hz."""


class Undecodable(Exception):
    """A file that holds no sound that can be read; the text says why, in words for a client."""


def decoded(data: bytes, rate: int | None = None) -> Generator[tuple[bytes, int]]:
    """A file's first audio stream as pieces of mono int16 PCM, each with its rate in Hz.

    `rate` None: the file's own. Gaps in a file's times are not filled with silence. Raises
    Undecodable, at once or on the way; so it does for samples that are no numbers.
    """
    with _opened(data) as (file, stream):
        mono: av.AudioResampler | None = None
        floats = stream.codec_context.name.startswith("pcm_f")
        for frame in file.decode(stream):
            if mono is None:
                rate = rate or _checked(frame.sample_rate)
                mono = av.AudioResampler(format="s16", layout="mono", rate=rate)
            if floats and not np.isfinite(frame.to_ndarray()).all():
                raise Undecodable("some samples are not numbers")
            frame.pts = None
            yield _joined(mono.resample(frame)), rate or 0
        if mono is None:
            raise Undecodable("it holds no sound")
        yield _joined(mono.resample(None)), rate or 0


def declared_s(data: bytes) -> float | None:
    """How long a file says that it is; None where it does not say, or cannot be so long.

    Raises Undecodable.
    """
    with _opened(data) as (file, stream):
        if file.duration is None:
            return None
        seconds = file.duration / av.time_base
        if not stream.codec_context.name.startswith("pcm_"):
            return seconds
        # Whoever streams a wav file writes the greatest length there is into its header.
        bit_rate = stream.codec_context.bit_rate
        return min(seconds, len(data) * 8 / bit_rate) if bit_rate else None


@contextmanager
def _opened(data: bytes) -> Generator[tuple[InputContainer, AudioStream]]:
    try:
        options = {"format_whitelist": FORMATS}
        with av.open(io.BytesIO(data), "r", options=options, metadata_errors="ignore") as file:
            if not file.streams.audio:
                raise Undecodable("it holds no audio")
            _checked(file.streams.audio[0].rate)
            yield file, file.streams.audio[0]
    except (FFmpegError, ValueError, EOFError, AttributeError) as error:
        # ValueError: a stream that changes its form on the way. AttributeError: PyAV's, for one
        # that it has no decoder for.
        raise Undecodable("no common audio format, or broken") from error


def _checked(rate: int) -> int:
    if rate not in RATES:
        raise Undecodable(f"a sample rate of {rate} Hz")
    return rate


def _joined(frames: list[AudioFrame]) -> bytes:
    return b"".join(map(frame_pcm, frames))
