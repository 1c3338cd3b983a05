"""Blocking iterators on a loop: items in order, closed after the running step, on every way out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from deployments.threads import in_thread

PATIENCE_S = 5.0


class Voice:
    """Makes 1, 2, 3 …; blocks inside step `slow` until `go_on`; an iterator like any other."""

    def __init__(self, slow: int | None = None, last: int = 3) -> None:
        self.slow = slow
        self.last = last
        self.steps = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.closed = threading.Event()
        self.inside = False
        self.closed_inside = False
        self.threads: set[str] = set()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.inside = True
        self.threads.add(threading.current_thread().name)
        self.steps += 1
        if self.steps == self.slow:
            self.entered.set()
            assert self.go_on.wait(PATIENCE_S)
        self.inside = False
        if self.steps > self.last:
            raise StopIteration
        return self.steps

    def close(self) -> None:
        """Stop the work."""
        self.closed_inside = self.inside
        self.closed.set()


async def has(event: threading.Event) -> bool:
    """Wait for a thread's event without blocking the loop."""
    return await asyncio.to_thread(event.wait, PATIENCE_S)


async def test_all_items_in_order_from_one_thread() -> None:
    """The loop's own thread is never used."""
    voice = Voice()
    assert [item async for item in in_thread(voice)] == [1, 2, 3]
    assert len(voice.threads) == 1
    assert threading.current_thread().name not in voice.threads
    assert await has(voice.closed)


async def test_the_loop_goes_on_while_a_step_blocks() -> None:
    """Other calls are served meanwhile."""
    voice = Voice(slow=1)
    reading = asyncio.create_task(anext(items := in_thread(voice)))
    assert await has(voice.entered)
    assert not reading.done()
    voice.go_on.set()
    assert await reading == 1
    await items.aclose()


async def test_leaving_early_starts_no_further_step() -> None:
    """Closing between steps closes the iterator."""
    voice = Voice()
    async with aclosing(in_thread(voice)) as items:
        async for _ in items:
            break
    assert await has(voice.closed)
    assert voice.steps == 1


async def test_cancelling_closes_after_the_running_step() -> None:
    """The reader is gone at once; the iterator is closed when its step returns, not inside it."""
    voice = Voice(slow=2)

    async def read() -> None:
        async with aclosing(in_thread(voice)) as items:
            async for _ in items:
                pass

    reading = asyncio.create_task(read())
    assert await has(voice.entered)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not voice.closed.is_set()
    voice.go_on.set()
    assert await has(voice.closed)
    assert not voice.closed_inside
    assert voice.steps == 2


async def test_a_generator_is_closed_too() -> None:
    """Its `finally` runs, in its own thread."""
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    async with aclosing(in_thread(numbers())) as items:
        assert await anext(items) == 0
    assert await has(closed)


async def test_an_iterator_without_close_is_just_left() -> None:
    """`iter(list)` has none."""
    async with aclosing(in_thread(iter([1, 2]))) as items:
        assert await anext(items) == 1


async def test_what_a_step_raises_is_raised() -> None:
    """After the items before it."""

    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("no voice")

    items = in_thread(numbers())
    assert await anext(items) == 1
    with pytest.raises(ValueError, match="no voice"):
        await anext(items)
