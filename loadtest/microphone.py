"""A caller's sample clock: frames of 20 ms without end, silence but for what is put on. Pure."""

from __future__ import annotations

from typing import Final

FRAME_MS: Final = 20


class Microphone:
    """Times in s of the caller's clock; a frame is sent once its last sample was taken."""

    def __init__(self, rate: int, started_at: float) -> None:
        """`rate` in Hz."""
        self._rate = rate
        self._started_at = started_at
        self._frame_samples = rate * FRAME_MS // 1000
        self._frames = 0
        self._pcm = b""
        self._at = 0

    @property
    def due(self) -> float:
        """When the next frame is sent."""
        return self._started_at + (self._frames + 1) * FRAME_MS / 1000

    def put(self, pcm: bytes) -> int:
        """Speak from the next frame on; returns the sample position of the start."""
        self._pcm, self._at = pcm, 0
        return self._frames * self._frame_samples

    def taken_at(self, sample: int) -> float:
        """When the sound at a sample position was made."""
        return self._started_at + sample / self._rate

    def read(self) -> bytes:
        """The next frame."""
        size = self._frame_samples * 2
        frame = self._pcm[self._at : self._at + size]
        self._at += size
        self._frames += 1
        return frame.ljust(size, b"\0")
