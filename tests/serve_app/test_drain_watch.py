"""A stopping replica's calls are sent elsewhere, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from serve_app.drain_watch import LOOK_S, DrainWatch
from serve_app.draining import Draining
from tests.virtual_time import in_virtual_time


class Held:
    """A call that counts how often it was moved."""

    def __init__(self, *, quiet: bool) -> None:
        self.returns = True
        self.quiet = quiet
        self.moved = 0

    def move(self) -> None:
        """As Call's."""
        self.moved += 1


@asynccontextmanager
async def watched() -> AsyncGenerator[DrainWatch, None]:
    """A replica's watch, running."""
    watch = DrainWatch(Draining(10.0, 100.0))
    running = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        running.cancel()
        await asyncio.wait([running])


@in_virtual_time
async def test_each_call_is_moved_once_when_its_time_has_come() -> None:
    """At its quiet moment; one that was over before is left alone."""
    calls = [Held(quiet=True), Held(quiet=False), Held(quiet=True)]
    first, talking, over = cast(Any, calls)
    async with watched() as watch:
        with watch.holding(over):
            watch.told(running=True, others=1)
        with watch.holding(first), watch.holding(talking):
            await asyncio.sleep(60)
            assert [call.moved for call in calls] == [0, 0, 0]
            watch.told(running=False, others=1)
            await asyncio.sleep(2 * LOOK_S)
            assert [call.moved for call in calls] == [1, 0, 0]
            talking.quiet = True
            await asyncio.sleep(2 * LOOK_S)
            assert [call.moved for call in calls] == [1, 1, 0]


@in_virtual_time
async def test_a_replica_may_be_told_to_stop_a_second_time() -> None:
    """What it was told last counts."""
    call: Any = Held(quiet=True)
    async with watched() as watch:
        watch.told(running=False, others=1)
        watch.told(running=True, others=1)
        with watch.holding(call):
            await asyncio.sleep(60)
            assert call.moved == 0
            watch.told(running=False, others=1)
            await asyncio.sleep(2 * LOOK_S)
    assert call.moved == 1
