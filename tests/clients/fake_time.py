"""Time that passes only when someone sleeps, so that real-time code is tested at once."""

from __future__ import annotations

import asyncio


class FakeTime:
    """A clock and its sleep; every sleep also gives the event loop a few turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.now += seconds
        for _ in range(5):
            await asyncio.sleep(0)
