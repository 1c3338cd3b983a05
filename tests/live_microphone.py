"""A microphone that never stops: what is said to it, in real time, else silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

FRAME_S: Final = 0.02


class LiveMicrophone:
    """Frames of 20 ms of int16 PCM at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self._frame_bytes = round(rate * FRAME_S) * 2
        self._speech = bytearray()

    def say(self, pcm: bytes) -> None:
        """This is heard next, after what was said before."""
        self._speech += pcm

    async def frames(self) -> AsyncGenerator[bytes]:
        """Each when it is due, for as long as it is asked; lateness does not add up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            frame = bytes(self._speech[: self._frame_bytes]).ljust(self._frame_bytes, b"\0")
            del self._speech[: self._frame_bytes]
            yield frame
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
