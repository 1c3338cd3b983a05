"""Sends a stopping replica's calls elsewhere, as `draining` decides."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from deployments.logs import logger
from serve_app.call import Call
from serve_app.draining import Draining

log = logger("draining")

LOOK_S: Final = 0.25
"""While a replica stops, its calls are looked at this often."""


class DrainWatch:
    """The calls of a replica, and what it was told of its own end."""

    def __init__(self, draining: Draining) -> None:
        self._draining = draining
        self._calls: set[Call] = set()
        self._stopping = asyncio.Event()
        self.check = draining.check

    def told(self, running: bool, others: int) -> None:
        """Serve's word: whether this replica is to run on, and how many others do."""
        if self._draining.stopping is running:
            news = "runs on" if running else f"is to stop: {len(self._calls)} calls"
            log.info("this replica %s", news)
        self._draining.told(running, others, asyncio.get_running_loop().time())
        if not running:
            self._stopping.set()

    @contextmanager
    def holding(self, call: Call) -> Generator[None]:
        """The call runs here."""
        self._calls.add(call)
        try:
            yield
        finally:
            self._calls.discard(call)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._stopping.wait()
            self._stopping.clear()
            while self._draining.stopping:
                for call in self._draining.leaving(self._calls, loop.time()):
                    self._calls.discard(call)
                    call.move()
                await asyncio.sleep(LOOK_S)
