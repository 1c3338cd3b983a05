"""A caller who speaks recordings: each in real time, then silence until it has been answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from clients.loudness import voice_end_ms
from clients.playback import Playback
from clients.progress import Progress

FRAME_MS: Final = 20
"""Audio in one message."""


class NoAnswer(Exception):
    """The server was silent for too long, or its reply failed. The text is one line."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Something to say: int16 mono samples, and what to call it on the screen."""

    name: str
    pcm: bytes


class Caller(Protocol):
    """Whoever speaks in a call."""

    def frames(self) -> AsyncGenerator[bytes]:
        """What to send, 20 ms at a time, when it is time; ends when the call may end."""
        ...

    def heard_from(self, now: float) -> None:
        """The server sent something."""
        ...

    def voice_ended(self, at: float) -> None:
        """The server found the end of speech in what was captured at that time."""
        ...

    @property
    def voice_ended_at(self) -> float | None:
        """When the last voiced sample of the turn was sent; None while it was not."""
        ...


class RecordedCaller:
    """Speaks turns one by one. A live microphone never stops, so silence goes between them."""

    def __init__(
        self,
        turns: Sequence[Turn],
        rate: int,
        progress: Progress,
        playback: Playback,
        *,
        patience_s: float,
        on_turn: Callable[[Turn], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`patience_s`: how long the server may be silent before that is NoAnswer."""
        self._turns = turns
        self._rate = rate
        self._progress = progress
        self._playback = playback
        self._patience_s = patience_s
        self._on_turn = on_turn
        self._clock = clock
        self._sleep = sleep
        self._heard_at = 0.0
        self._next_at = 0.0
        self.voice_ended_at: float | None = None

    async def frames(self) -> AsyncGenerator[bytes]:
        """See Caller. Raises NoAnswer."""
        self._next_at = self._heard_at = self._clock()
        while not self._progress.ready:
            yield await self._silence("the call was not opened")
        for turn in self._turns:
            self._progress.begin_turn()
            self._on_turn(turn)
            self.voice_ended_at = None
            last_voiced = max(0, voice_end_ms(turn.pcm, self._rate) - 1) // FRAME_MS
            for index, frame in enumerate(self._cut(turn.pcm)):
                await self._until_next()
                yield frame
                if index == last_voiced:
                    self.voice_ended_at = self._clock()
            self._heard_at = self._clock()
            while not self._answered():
                yield await self._silence(f"no answer to {turn.name}")
            if self._progress.failure is not None:
                raise NoAnswer(f"{turn.name}: {self._progress.failure}")

    def heard_from(self, now: float) -> None:
        """See Caller."""
        self._heard_at = now

    def voice_ended(self, at: float) -> None:
        """A recording's own samples say it better: not used."""

    def _cut(self, pcm: bytes) -> list[bytes]:
        size = self._frame_bytes
        return [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]

    async def _silence(self, complaint: str) -> bytes:
        if self._clock() - self._heard_at > self._patience_s:
            raise NoAnswer(self._progress.failure or f"{complaint} within {self._patience_s:g} s")
        await self._until_next()
        return bytes(self._frame_bytes)

    def _answered(self) -> bool:
        return self._progress.settled and self._clock() >= self._playback.drained_at

    async def _until_next(self) -> None:
        """Sleep to the next frame's time on a fixed grid: lateness does not add up."""
        await self._sleep(max(0.0, self._next_at - self._clock()))
        self._next_at += FRAME_MS / 1000

    @property
    def _frame_bytes(self) -> int:
        return self._rate * FRAME_MS // 1000 * 2
