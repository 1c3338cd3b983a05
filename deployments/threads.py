"""Blocking iterators on an event loop: one thread a stream, closed on every way out."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadedStream(Generic[T]):
    """What a blocking iterator makes, made in a thread of its own from now on.

    The thread does not wait for the reader: what was not read yet is kept, at most all of the
    iterator's items. `ended` is done once the iterator is closed, however that came; until then
    the thread may be inside a step. Times are the loop's, in seconds.
    """

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.began_at = self._loop.time()
        self.first_at: float | None = None
        self.ended_at: float | None = None
        thread = ThreadPoolExecutor(1, thread_name_prefix="stream")
        self.ended: asyncio.Future[None] = self._loop.run_in_executor(thread, self._work)
        self.ended.add_done_callback(self._on_end)
        thread.shutdown(wait=False)

    def __aiter__(self) -> ThreadedStream[T]:
        return self

    async def __anext__(self) -> T:
        """The next item. Raises what `make` or a step raised, after the items before it."""
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self.ended.done():
                    break
                self._waiter = self._loop.create_future()
            await self._waiter
        self.ended.result()
        raise StopAsyncIteration

    async def gathered(self, until: float) -> list[T]:
        """What was made and not read by `until`, or by the end if that comes first."""
        wait_s = until - self._loop.time()
        if wait_s > 0:
            await asyncio.wait([self.ended], timeout=wait_s)
        with self._lock:
            items = list(self._items)
            self._items.clear()
        return items

    def stop(self) -> None:
        """Start no further step; returns at once."""
        self._stopped.set()

    def _work(self) -> None:
        items = self._make()
        try:
            for item in items:
                if self.first_at is None:
                    self.first_at = self._loop.time()
                self._put(item)
                if self._stopped.is_set():
                    return
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _put(self, item: T) -> None:
        """In the thread. A reader who does not wait is not woken."""
        with self._lock:
            self._items.append(item)
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._loop.call_soon_threadsafe(_wake, waiter)

    def _on_end(self, ended: asyncio.Future[None]) -> None:
        self.ended_at = self._loop.time()
        ended.exception()  # Whoever left early does not ask for it.
        if self._waiter is not None:
            _wake(self._waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
