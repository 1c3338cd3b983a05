"""Blocking iterators on an event loop: one thread a stream, closed on every way out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """Marks the end of the items."""


_END = _End()


class ThreadedStream(Generic[T]):
    """What a blocking iterator makes, made in a thread of its own from now on.

    The thread does not wait for the reader: what was not read yet is kept, at most all of the
    iterator's items. `ended` is done once the iterator is closed, however that came; until then
    the thread may be inside a step. Times are the loop's, in seconds.
    """

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = make
        self._items: asyncio.Queue[T | _End] = asyncio.Queue()
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
        item = await self._items.get()
        if isinstance(item, _End):
            self._items.put_nowait(item)
            self.ended.result()
            raise StopAsyncIteration
        return item

    def stop(self) -> None:
        """Start no further step; returns at once."""
        self._stopped.set()

    def _work(self) -> None:
        items = self._make()
        try:
            for item in items:
                if self.first_at is None:
                    self.first_at = self._loop.time()
                self._loop.call_soon_threadsafe(self._items.put_nowait, item)
                if self._stopped.is_set():
                    return
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _on_end(self, ended: asyncio.Future[None]) -> None:
        self.ended_at = self._loop.time()
        ended.exception()  # Whoever left early does not ask for it.
        self._items.put_nowait(_END)
