"""The one thread in which a model is loaded and runs, whoever asks for what it makes.

CUDA graphs of a compiled model belong to the thread that captured them, and each new thread that
computes brings threads of its own along.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
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

    def close(self) -> None:
        """End the thread, after the step that it is in."""
        self._pool.shutdown()
