"""The caller's sample clock: frames of 20 ms without end, and utterances at set places in them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan import FRAME_MS, GRID_MS, RATE

FRAME_SAMPLES = FRAME_MS * RATE // 1000
FRAME_BYTES = FRAME_SAMPLES * 2
_GRID_SAMPLES = GRID_MS * RATE // 1000


@dataclass(frozen=True, slots=True)
class Microphone:
    """When a frame and a sample are: a frame is sent once its last sample was taken."""

    started_at: float

    def due(self, frame: int) -> float:
        """When frame number `frame` (from 0) is sent, in s."""
        return self.started_at + (frame + 1) * FRAME_MS / 1000

    def taken_at(self, sample: int) -> float:
        """When the sound of a sample was made, in s."""
        return self.started_at + sample / RATE

    def sent_at(self, sample: int) -> float:
        """When the frame that completes the samples before `sample` is sent, in s."""
        return self.due(-(-sample // FRAME_SAMPLES) - 1)


class Tape:
    """What the microphone hears: silence, but for what was put on it."""

    def __init__(self) -> None:
        self._frames = 0
        self._start = 0
        self._pcm = b""

    @property
    def frames(self) -> int:
        """Frames read so far."""
        return self._frames

    def put(self, pcm: bytes, lead: int) -> int:
        """Speak `pcm`, `lead` samples after the next point where both frame grids meet.

        Returns the sample position of its start. What was put before must have ended.
        """
        now = self._frames * FRAME_SAMPLES
        self._start = -(-now // _GRID_SAMPLES) * _GRID_SAMPLES + lead
        self._pcm = pcm
        return self._start

    def read(self) -> bytes:
        """The next frame."""
        offset = (self._frames * FRAME_SAMPLES - self._start) * 2
        self._frames += 1
        if offset >= len(self._pcm) or offset <= -FRAME_BYTES:
            return bytes(FRAME_BYTES)
        before = bytes(max(0, -offset))
        piece = self._pcm[max(0, offset) : offset + FRAME_BYTES]
        return (before + piece).ljust(FRAME_BYTES, b"\0")
