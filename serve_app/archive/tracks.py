"""Both sides of a call on one time line: pure, times are arguments.

The line begins when the caller agreed, and counts in samples of 16 kHz. The caller's messages
follow each other without a seam, as their network delays them unevenly; one that comes more than
`TOLERANCE` too late leaves a silence. The agent's audio lies where it is due at the loudspeaker:
when it left, or behind what left before.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from serve_app.archive.records import CHANNELS, RATE, Sound

TOLERANCE: Final = RATE // 4
"""How late a message may be and still follow the last."""
HELD: Final = TOLERANCE + RATE // 10
"""So long nothing is given out: a message of 100 ms may still come for all of it."""
_BLOCK: Final = RATE
_BYTES: Final = 2


class Tracks:
    """What of both sides is not given out yet: a second and a quarter, and what is sent ahead."""

    def __init__(self, now: float) -> None:
        """`now` in seconds of any clock."""
        self._began = now
        self._base = 0
        self._caller_end: int | None = None
        self._caller = bytearray()
        self._agent = bytearray()

    def caller(self, pcm: bytes, now: float) -> None:
        """The next of the caller's audio, 16 kHz, has come. What is older than the line is cut."""
        due = self._wall(now) - len(pcm) // _BYTES
        if self._caller_end is None:
            pcm = pcm[max(0, -due) * _BYTES :]
            start = max(0, due)
        elif due - self._caller_end > TOLERANCE:
            start = due
        else:
            start = self._caller_end
        # What was given out as a silence meanwhile stays one.
        start = max(self._base, start)
        self._put(self._caller, start, pcm)
        self._caller_end = start + len(pcm) // _BYTES

    def agent(self, pcm: bytes, now: float) -> None:
        """The next of the agent's audio, 16 kHz, leaves."""
        end = self._base + len(self._agent) // _BYTES
        self._put(self._agent, max(end, self.position(now)), pcm)

    def cut(self, now: float) -> None:
        """What of the agent's audio was not heard yet never will be."""
        heard = max(0, self.position(now) - self._base)
        del self._agent[heard * _BYTES :]

    def position(self, now: float) -> int:
        """Where on the line now is. A caller who sends faster than time passes drives it."""
        return max(self._wall(now), self._caller_end or 0)

    def take(self, now: float, least: int = _BLOCK) -> Sound | None:
        """What can change no more, once it is `least` long. A silence on both sides is left out."""
        until = self.position(now) - HELD
        return self._given(until) if until - self._base >= least else None

    def finish(self, now: float) -> Sound | None:
        """The rest: the call is over, and nothing more of it is heard."""
        self.cut(now)
        return self._given(self.position(now))

    def _wall(self, now: float) -> int:
        return round((now - self._began) * RATE)

    def _put(self, track: bytearray, start: int, pcm: bytes) -> None:
        missing = start * _BYTES - self._base * _BYTES - len(track)
        track += bytes(max(0, missing)) + pcm

    def _given(self, until: int) -> Sound | None:
        there = max(len(self._caller), len(self._agent)) // _BYTES
        length = min(until - self._base, there)
        block = np.zeros((length, CHANNELS), "<i2")
        for channel, track in enumerate((self._caller, self._agent)):
            samples = np.frombuffer(bytes(track[: length * _BYTES]), "<i2")
            block[: len(samples), channel] = samples
            del track[: (until - self._base) * _BYTES]
        start, self._base = self._base, until
        return Sound(start, block.tobytes()) if block.any() else None
