"""The one thread in which a model is loaded and runs, whoever asks for what it makes.

CUDA graphs of a compiled model belong to the thread that captured them, and each new thread that
computes brings threads of its own along.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


class _End:
    """Marks the end of the items."""


_END = _End()


class ModelThread:
    """A thread for a model that makes one thing at a time."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._one_at_a_time = threading.Lock()

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, between two steps of what is being made."""
        return self._pool.submit(work).result()

    def iterate(self, make: Callable[[], Iterator[T]]) -> Generator[T, None, None]:
        """The items of an iterator, each made as it is asked for; others wait until it is closed.

        Closing this closes the iterator, after the step that it is in.
        """
        with self._one_at_a_time:
            items = self.call(make)
            try:
                while not isinstance(item := self.call(lambda: next(items, _END)), _End):
                    yield item
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    self.call(close)

    def pushed(
        self, work: Callable[[Callable[[T], None], threading.Event], None]
    ) -> Generator[T, None, None]:
        """What `work` gives to its first argument, for a library that calls and is not called.

        Its second is set once nobody wants more: it returns as soon as it can. What was not read
        yet is kept, at most all that the work gives.
        """
        with self._one_at_a_time:
            items: queue.Queue[T | _End] = queue.Queue()
            stopped = threading.Event()

            def run() -> None:
                try:
                    work(items.put, stopped)
                finally:
                    items.put(_END)

            working = self._pool.submit(run)
            try:
                while not isinstance(item := items.get(), _End):
                    yield item
                working.result()
            finally:
                stopped.set()
                wait([working])

    def close(self) -> None:
        """End the thread, after the step that it is in."""
        self._pool.shutdown()
