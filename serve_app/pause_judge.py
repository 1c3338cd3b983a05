"""Judges pauses off the event loop: one end-of-turn detector, one thread, for all calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from deployments.logs import logger
from serve_app.audio.end_of_turn import EndOfTurnDetector

log = logger("pause_judge")

MAX_WAITING = 6
"""Pauses that may wait for a verdict, the one at work included. Overflow policy: the newest goes
without. At 70 ms each, a later one's verdict would come when its pause has long been decided."""


class PauseJudge(Protocol):
    """What a call asks whether its caller is done."""

    async def judge(self, pcm: bytes) -> float | None:
        """How likely the turn in this 16 kHz PCM is complete; None: nobody can tell now."""
        ...


class ThreadedJudge:
    """PauseJudge that runs a detector in a thread of its own."""

    def __init__(self, detector: EndOfTurnDetector) -> None:
        self._detector = detector
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="end-of-turn")
        self._waiting = 0

    async def judge(self, pcm: bytes) -> float | None:
        """See PauseJudge. A cancelled question that has not begun is not asked."""
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._detector.probability, pcm)
        except Exception:
            # The pause alone can decide: a model that fails costs time, not the call.
            log.exception("the end-of-turn detector failed")
            return None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the thread end; what waits is not asked."""
        self._thread.shutdown(cancel_futures=True)
