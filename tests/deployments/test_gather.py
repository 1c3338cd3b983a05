"""Batches that form while others run, without a model."""

from __future__ import annotations

import asyncio

import pytest

from deployments.gather import Gathered


class Worker:
    """Doubles numbers, a batch at a time, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int]:
        """See Gathered. Fails for a batch with a negative number."""
        self.batches.append(items)
        await self.let.wait()
        if any(item < 0 for item in items):
            raise ValueError(f"negative: {items}")
        return [2 * item for item in items]


async def asked(gathered: Gathered[int, int], *items: int) -> list[asyncio.Task[int]]:
    """A task for each item, all of them under way."""
    tasks = [asyncio.create_task(gathered(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_the_first_goes_alone_and_the_rest_together() -> None:
    """Nobody waits for company; who comes meanwhile is served at once, in order, at most `most`."""
    worker = Worker()
    gathered = Gathered(worker, most=3)
    first = await asked(gathered, 1)
    rest = await asked(gathered, 2, 3, 4, 5)
    worker.let.set()
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 8, 10]
    assert worker.batches == [[1], [2, 3, 4], [5]]


async def test_an_idle_worker_begins_anew() -> None:
    """After the last batch the next item starts another."""
    worker = Worker()
    worker.let.set()
    gathered = Gathered(worker, most=3)
    assert [await gathered(1), await gathered(2)] == [2, 4]
    assert worker.batches == [[1], [2]]


async def test_one_that_fails_does_not_fail_the_others() -> None:
    """Its batch is done again one by one, and it alone sees the error."""
    worker = Worker()
    gathered = Gathered(worker, most=8)
    first = await asked(gathered, 1)
    rest = await asked(gathered, 2, -3, 4)
    worker.let.set()
    results = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [2, 4, 8]
    with pytest.raises(ValueError, match=r"\[-3\]"):
        raise next(result for result in results if isinstance(result, ValueError))
    assert worker.batches == [[1], [2, -3, 4], [2], [-3], [4]]


async def test_who_gave_up_is_left_out() -> None:
    """Before its batch began: it is not worked on. After: the others get their results."""
    worker = Worker()
    gathered = Gathered(worker, most=8)
    first = await asked(gathered, 1)
    rest = await asked(gathered, 2, 3)
    for task in (first[0], rest[0]):
        task.cancel()
    await asyncio.wait([first[0], rest[0]])
    worker.let.set()
    assert await rest[1] == 6
    assert worker.batches == [[1], [3]]
