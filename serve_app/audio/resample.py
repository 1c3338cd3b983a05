"""Changing the sample rate of int16 PCM, as a stream or whole.

Streams go through FFmpeg's resampler (PyAV), which holds back 1–2 ms whatever the pieces; soxr's
stream, the better filter, works in blocks and holds back 6 to 117 ms. Whole files, where nothing
waits, go through soxr. Both are taken from libraries because a good filter is not our business.
"""

from __future__ import annotations

from typing import cast

import av
import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from serve_app.audio.pcm import BYTES_PER_SAMPLE

_FLUSH_MS = 20
"""More than any filter here looks ahead (16 samples of the lower rate)."""


class Resampler:
    """A stream of PCM from `source_rate` to `target_rate` (Hz); free where they are equal.

    The output does not depend on how the input was cut into pieces.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        if source_rate <= 0 or target_rate <= 0:
            raise ValueError(f"no such sample rate: {source_rate} to {target_rate}")
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.reset()

    def push(self, pcm: bytes) -> bytes:
        """What the next samples add to the output; may be empty, as the filter looks ahead."""
        if self._filter is None or not pcm:
            return pcm
        changed = _joined(self._filter.resample(pcm_frame(pcm, self.source_rate)))
        self._taken += len(pcm) // BYTES_PER_SAMPLE
        self._given += len(changed) // BYTES_PER_SAMPLE
        return changed

    def finish(self) -> bytes:
        """The samples still held back; the next `push` begins another stream."""
        if self._filter is None or not self._taken:
            return b""
        missing = round(self._taken * self.target_rate / self.source_rate) - self._given
        # Silence pushes the rest out. FFmpeg's own flush loses streams shorter than its filter.
        tail = self.push(bytes(self.source_rate * _FLUSH_MS // 1000 * BYTES_PER_SAMPLE))
        self.reset()
        return tail[: missing * BYTES_PER_SAMPLE]

    def reset(self) -> None:
        """Drop what is held back and begin another stream."""
        self._filter = self._fresh()
        self._taken = 0
        self._given = 0

    def _fresh(self) -> AudioResampler | None:
        if self.source_rate == self.target_rate:
            return None
        return av.AudioResampler(format="s16", layout="mono", rate=self.target_rate)


def resample_all(pcm: bytes, source_rate: int, target_rate: int) -> bytes:
    """A whole recording at another rate, in the best quality and exactly as long."""
    if source_rate == target_rate or not pcm:
        return pcm
    samples = np.frombuffer(pcm, "<i2")
    changed = cast("NDArray[np.int16]", soxr.resample(samples, source_rate, target_rate))
    return changed.astype("<i2").tobytes()


def pcm_frame(pcm: bytes, rate: int) -> AudioFrame:
    """Mono int16 PCM as a frame of FFmpeg's."""
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // BYTES_PER_SAMPLE)
    frame.sample_rate = rate
    frame.planes[0].update(pcm)
    return frame


def frame_pcm(frame: AudioFrame) -> bytes:
    """The PCM of a mono int16 frame, without the padding FFmpeg may put after it."""
    return bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE]


def _joined(frames: list[AudioFrame]) -> bytes:
    return b"".join(map(frame_pcm, frames))
