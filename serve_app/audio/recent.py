"""The most recent stretch of a call's audio, in memory that never grows."""

from __future__ import annotations

from serve_app.audio.pcm import BYTES_PER_SAMPLE


class RecentAudio:
    """Keeps the last `keep_samples` of a stream of int16 PCM; samples are counted from 0.

    A buffer of twice the size is written front to back; when it is full its recent half moves
    to the front. So a push costs no more than copying it, on average twice.
    """

    def __init__(self, keep_samples: int) -> None:
        if keep_samples <= 0:
            raise ValueError("nothing to keep")
        self._keep = keep_samples * BYTES_PER_SAMPLE
        self._buffer = bytearray(2 * self._keep)
        self._used = 0
        self._received = 0

    @property
    def end(self) -> int:
        """Samples received so far."""
        return self._received

    @property
    def start(self) -> int:
        """The oldest sample that is kept."""
        return max(0, self._received - self._keep // BYTES_PER_SAMPLE)

    def append(self, pcm: bytes) -> None:
        """Add whole samples."""
        self._received += len(pcm) // BYTES_PER_SAMPLE
        pcm = pcm[-self._keep :]
        if self._used + len(pcm) > len(self._buffer):
            kept = self._buffer[self._used - self._keep + len(pcm) : self._used]
            self._buffer[: len(kept)] = kept
            self._used = len(kept)
        self._buffer[self._used : self._used + len(pcm)] = pcm
        self._used += len(pcm)

    def clear(self) -> None:
        """Keep nothing. Nothing is appended after this."""
        self._buffer = bytearray()
        self._keep = self._used = self._received = 0

    def read(self, start: int, end: int) -> bytes:
        """The PCM of samples `start` to `end`, as far as they are kept."""
        start, end = max(start, self.start), min(end, self.end)
        if start >= end:
            return b""
        origin = self._used - self._received * BYTES_PER_SAMPLE
        first, last = origin + start * BYTES_PER_SAMPLE, origin + end * BYTES_PER_SAMPLE
        return bytes(memoryview(self._buffer)[first:last])
