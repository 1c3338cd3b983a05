"""Waiting for what others do to make something so: looked at again whenever there is news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class News:
    """Of one call, or of many."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def tell(self) -> None:
        """Something happened."""
        self._came.set()

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait for it to be so; False: it was not in that time."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return False
        return True
