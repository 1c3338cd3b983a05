"""Blocking iterators on an event loop: one thread a stream, closed on every way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class _End:
    """Marks the end: StopIteration cannot cross into a future."""


_END = _End()


async def in_thread(items: Iterator[T]) -> AsyncGenerator[T, None]:
    """Yield what a blocking iterator makes, made in a thread of its own.

    Leaving early closes the iterator once the step it is in returns; the thread is never
    waited for on the event loop.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
    try:
        while True:
            item: T | _End = await loop.run_in_executor(thread, _step, items)
            if isinstance(item, _End):
                return
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            thread.submit(close)
        thread.shutdown(wait=False)


def _step(items: Iterator[T]) -> T | _End:
    return next(items, _END)
