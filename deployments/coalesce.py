"""Gathers text deltas into fewer, larger ones without keeping the first one waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, suppress

from deployments.contracts import ReplyItem, TextDelta

CLAUSE_ENDS = frozenset(".,;:!?…\n。、，；：！？")
"""What ends a clause is what a voice begins at: keeping it would keep the caller waiting."""

ENOUGH_WORDS = 3
"""Fewer are no phrase yet."""


async def coalesced(
    items: AsyncIterator[ReplyItem], every_s: float, later_s: float
) -> AsyncGenerator[ReplyItem, None]:
    """The same text; the first delta, the ends of clauses and tool calls as they come, the rest
    gathered for `every_s` seconds, and for `later_s` once a clause of some words has ended: then
    there is something to say.

    A slow reader stops nothing: what it has not taken is gathered, at most one reply's text.
    Leaving early closes `items` before this returns, so that the model stops.
    """
    loop = asyncio.get_running_loop()
    waiting: list[ReplyItem] = []
    arrived, due = asyncio.Event(), asyncio.Event()

    async def gather() -> None:
        async with aclosing(_as_generator(items)) as source:
            async for item in source:
                waiting.append(item)
                arrived.set()
                if not isinstance(item, TextDelta) or not CLAUSE_ENDS.isdisjoint(item.text):
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
            gathered = list(_joined(waiting))
            waiting.clear()
            for item in gathered:
                if isinstance(item, TextDelta):
                    words += len(item.text.split())
                    if words >= ENOUGH_WORDS and not CLAUSE_ENDS.isdisjoint(item.text):
                        every_s = later_s
            if gathered:
                next_at = loop.time() + every_s
            for item in gathered:
                yield item
            if task.done():
                arrived.set()
                due.set()
        task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # Whoever left early does not ask for it.


def _joined(items: Sequence[ReplyItem]) -> Iterator[ReplyItem]:
    """Neighbouring texts as one; none that is empty."""
    text = ""
    for item in items:
        if isinstance(item, TextDelta):
            text += item.text
            continue
        if text:
            yield TextDelta(text)
        text = ""
        yield item
    if text:
        yield TextDelta(text)


async def _as_generator(items: AsyncIterator[ReplyItem]) -> AsyncGenerator[ReplyItem, None]:
    """Gives any iterator an `aclose`."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
