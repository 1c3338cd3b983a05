"""Blocking iterators on a loop: items in order, closed after the running step, on every way out."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest

from deployments.threads import ThreadedStream

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
    assert [item async for item in ThreadedStream(lambda: voice)] == [1, 2, 3]
    assert len(voice.threads) == 1
    assert threading.current_thread().name not in voice.threads
    assert voice.closed.is_set()


async def test_the_loop_goes_on_while_a_step_blocks() -> None:
    """Other calls are served meanwhile."""
    voice = Voice(slow=1)
    stream = ThreadedStream(lambda: voice)
    reading = asyncio.ensure_future(anext(stream))
    assert await has(voice.entered)
    assert not reading.done()
    voice.go_on.set()
    assert await reading == 1
    await stream.ended


async def test_a_slow_reader_does_not_hold_up_the_thread() -> None:
    """It makes all there is and is done; that can be read later, and then the end, for ever."""
    voice = Voice()
    stream = ThreadedStream(lambda: voice)
    await stream.ended
    assert voice.closed.is_set()
    assert [item async for item in stream] == [1, 2, 3]
    assert [item async for item in stream] == []


async def test_what_was_made_meanwhile_is_gathered() -> None:
    """All of it, once; at the end at once, whatever time was given."""
    voice = Voice()
    stream = ThreadedStream(lambda: voice)
    assert await stream.gathered(asyncio.get_running_loop().time() + 60) == [1, 2, 3]
    assert await stream.gathered(0.0) == []
    assert [item async for item in stream] == []


async def test_gathering_ends_at_its_time() -> None:
    """The voice may go on: what it makes later is read later."""
    voice = Voice(slow=2)
    stream = ThreadedStream(lambda: voice)
    assert await has(voice.entered)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.01
    assert await stream.gathered(until) == [1]
    assert loop.time() >= until - 0.001
    voice.go_on.set()
    assert [item async for item in stream] == [2, 3]


async def test_stopping_closes_after_the_running_step() -> None:
    """At once for the reader; the iterator is closed when its step returns, not inside it."""
    voice = Voice(slow=2)
    stream = ThreadedStream(lambda: voice)
    assert await has(voice.entered)
    stream.stop()
    assert not stream.ended.done()
    assert not voice.closed.is_set()
    voice.go_on.set()
    await stream.ended
    assert voice.closed.is_set()
    assert not voice.closed_inside
    assert voice.steps == 2


async def test_a_generator_is_closed_too() -> None:
    """Its `finally` runs, in its own thread."""
    closed_in: list[str] = []
    go_on = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield 0
            go_on.wait(PATIENCE_S)
            yield 1
            yield 2
        finally:
            closed_in.append(threading.current_thread().name)

    stream = ThreadedStream(numbers)
    assert await anext(stream) == 0
    stream.stop()
    go_on.set()
    await stream.ended
    assert len(closed_in) == 1
    assert closed_in[0].startswith("stream")


async def test_an_iterator_without_close_is_just_left() -> None:
    """`iter(list)` has none."""
    assert [item async for item in ThreadedStream(lambda: iter([1, 2]))] == [1, 2]


async def test_what_a_step_raises_is_raised() -> None:
    """After the items before it."""

    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("no voice")

    items = ThreadedStream(numbers)
    assert await anext(items) == 1
    with pytest.raises(ValueError, match="no voice"):
        await anext(items)


async def test_what_making_the_iterator_raises_is_raised() -> None:
    """Like a first step's failure."""

    def refuse() -> Iterator[int]:
        raise ValueError("no such voice")

    with pytest.raises(ValueError, match="no such voice"):
        await anext(ThreadedStream(refuse))


async def test_a_failure_that_nobody_reads_is_no_warning() -> None:
    """Whoever left does not ask how it ended."""

    def refuse() -> Iterator[int]:
        raise ValueError("no such voice")

    stream = ThreadedStream(refuse)
    stream.stop()
    await asyncio.wait([stream.ended])
    del stream
    gc.collect()


async def test_the_times_of_a_stream() -> None:
    """Begun, first item, end; without items there is no first."""
    voice = Voice(slow=2)
    stream = ThreadedStream(lambda: voice)
    assert stream.ended_at is None
    assert await has(voice.entered)
    voice.go_on.set()
    await stream.ended
    assert stream.first_at is not None
    assert stream.ended_at is not None
    assert stream.began_at <= stream.first_at <= stream.ended_at
    nothing = ThreadedStream(lambda: iter([]))
    await nothing.ended
    assert nothing.first_at is None
