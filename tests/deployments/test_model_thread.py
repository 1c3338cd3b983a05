"""A model's thread: where work runs, who waits, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from deployments.model_thread import ModelThread

PATIENCE_S = 5.0


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    """One, ended after the test."""
    thread = ModelThread("model")
    yield thread
    thread.close()


class Steps:
    """An iterator that notes in which threads it is made, stepped and closed."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.closed = False
        self.threads = {threading.current_thread()}

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> int:
        self.threads.add(threading.current_thread())
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        return self.left

    def close(self) -> None:
        """As a generator's."""
        self.threads.add(threading.current_thread())
        self.closed = True


def test_all_steps_run_in_its_thread(thread: ModelThread) -> None:
    """What is called, each step, and the end: one thread, not the caller's."""
    made: list[Steps] = []

    def make() -> Steps:
        made.append(Steps(3))
        return made[0]

    assert list(thread.iterate(make)) == [2, 1, 0]
    assert made[0].threads == {thread.call(threading.current_thread)}
    assert threading.current_thread() not in made[0].threads


def test_closing_early_closes_the_iterator_and_frees_the_model(thread: ModelThread) -> None:
    """After one step no other is made, and the next who asks is served."""
    steps = Steps(3)
    items = thread.iterate(lambda: steps)
    assert next(items) == 2
    items.close()
    assert (steps.left, steps.closed) == (2, True)
    assert list(thread.iterate(lambda: Steps(1))) == [0]


def test_one_waits_for_another(thread: ModelThread) -> None:
    """A second iterator is not made before the first is closed; calls pass between steps."""
    made = threading.Event()

    def second() -> Steps:
        made.set()
        return Steps(1)

    first = thread.iterate(lambda: Steps(2))
    next(first)
    waiting = threading.Thread(target=lambda: list(thread.iterate(second)))
    waiting.start()
    assert thread.call(lambda: "between") == "between"
    assert not made.is_set()
    first.close()
    waiting.join(PATIENCE_S)
    assert made.is_set()


def test_what_a_step_raises_frees_the_model(thread: ModelThread) -> None:
    """It reaches the caller, and the next is served."""

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = thread.iterate(broken)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert list(thread.iterate(lambda: Steps(1))) == [0]


def test_pushed_items_come_in_order(thread: ModelThread) -> None:
    """A library that calls is read like one that is called; its error comes after its items."""

    def work(give: Callable[[int], None], _: threading.Event) -> None:
        give(1)
        give(2)
        raise ValueError("broken")

    items = thread.pushed(work)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_closing_early_tells_the_work(thread: ModelThread) -> None:
    """It is told to stop, and closing waits until it did."""
    ended: list[bool] = []

    def work(give: Callable[[int], None], stopped: threading.Event) -> None:
        give(1)
        ended.append(stopped.wait(PATIENCE_S))

    items = thread.pushed(work)
    assert next(items) == 1
    items.close()
    assert ended == [True]
