"""Gathers text deltas into fewer, larger ones without keeping the first one waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from deployments.contracts import TextDelta

CLAUSE_ENDS = frozenset(".,;:!?…\n。、，；：！？")
"""What ends a clause is what a voice begins at: keeping it would keep the caller waiting."""

ENOUGH_WORDS = 3
"""Fewer are no phrase yet."""


async def coalesced(
    deltas: AsyncIterator[TextDelta], every_s: float, later_s: float
) -> AsyncGenerator[TextDelta, None]:
    """The same text; the first delta and the ends of clauses as they come, the rest gathered for
    `every_s` seconds, and for `later_s` once a clause of some words has ended: then there is
    something to say.

    A slow reader stops nothing: what it has not taken is gathered, at most one reply's text.
    Leaving early closes `deltas` before this returns, so that the model stops.
    """
    loop = asyncio.get_running_loop()
    waiting: list[str] = []
    arrived, due = asyncio.Event(), asyncio.Event()

    async def gather() -> None:
        async with aclosing(_as_generator(deltas)) as source:
            async for delta in source:
                waiting.append(delta.text)
                arrived.set()
                if not CLAUSE_ENDS.isdisjoint(delta.text):
                    due.set()

    task = asyncio.ensure_future(gather())
    task.add_done_callback(lambda _: (arrived.set(), due.set()))
    try:
        next_at, words = 0.0, 0
        while not (task.done() and not waiting):
            await arrived.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_at):
                    await due.wait()
            arrived.clear()
            due.clear()
            text = "".join(waiting)
            waiting.clear()
            if text:
                words += len(text.split())
                if words >= ENOUGH_WORDS and not CLAUSE_ENDS.isdisjoint(text):
                    every_s = later_s
                next_at = loop.time() + every_s
                yield TextDelta(text)
            if task.done():
                arrived.set()
                due.set()
        task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # Whoever left early does not ask for it.


async def _as_generator(deltas: AsyncIterator[TextDelta]) -> AsyncGenerator[TextDelta, None]:
    """Gives any iterator an `aclose`."""
    try:
        async for delta in deltas:
            yield delta
    finally:
        close = getattr(deltas, "aclose", None)
        if close is not None:
            await close()
