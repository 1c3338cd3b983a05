"""Work that is cheaper done together: what comes while a batch runs makes up the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gathered(Generic[T, R]):
    """Hands items to `work` in batches of at most `most`, one batch at a time, in their order.

    An item that finds nobody at work is not kept waiting for company, so a single caller loses no
    time, and the batches grow with the load. A batch that fails is done again item by item: one
    item's error is its own. Items whose askers gave up before their batch began are left out.
    """

    def __init__(self, work: Callable[[list[T]], Awaitable[Sequence[R]]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The item's result. Raises what `work` raises for it alone."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._worker is None:
            # It outlives whoever started it: others' items are in its batches.
            self._worker = asyncio.create_task(self._work_off())
        return await result

    async def _work_off(self) -> None:
        try:
            while batch := self._next_batch():
                outcomes = await self._outcomes([item for item, _ in batch])
                for (_, result), outcome in zip(batch, outcomes, strict=True):
                    if result.cancelled():
                        continue
                    if isinstance(outcome, BaseException):
                        result.set_exception(outcome)
                    else:
                        result.set_result(outcome)
        finally:
            self._worker = None

    def _next_batch(self) -> list[tuple[T, asyncio.Future[R]]]:
        waiting = [entry for entry in self._waiting if not entry[1].cancelled()]
        self._waiting = waiting[self._most :]
        return waiting[: self._most]

    async def _outcomes(self, items: list[T]) -> Sequence[R | BaseException]:
        [outcome] = await asyncio.gather(self._work(items), return_exceptions=True)
        if not isinstance(outcome, BaseException):
            return outcome
        if len(items) == 1:
            return [outcome]
        return [(await self._outcomes([item]))[0] for item in items]
