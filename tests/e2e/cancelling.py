"""Callers who let no reply end: they interrupt it at every point, talk over it, or hang up."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from clients import events as told
from clients.voice_client import CallRefused
from tests.e2e.caller import Caller, calling

TURNS_A_CALL = 10
LIMIT_S = 120.0
"""For every single thing, however busy the machine is."""

QUERY: dict[str, Any] = {"codec": "pcm16", "rate": 16_000, "connect_timeout_s": LIMIT_S}


async def cancel_turns(url: str, turns: int, at_once: int) -> int:
    """Begin and cancel so many replies, over calls of a few turns, some of them at a time.

    How many were: a reply that was over before its interruption came is not counted, and made up
    for.
    """
    cancelled = 0
    numbers = count()

    async def one_call() -> None:
        nonlocal cancelled
        async with calling(url, **QUERY) as caller:
            for _ in range(TURNS_A_CALL - 1):
                cancelled += await _cancelled(caller, next(numbers))
            await _begun(caller, next(numbers) % 3)
            # The last one's caller is gone in the middle of it.
            if next(numbers) % 2:
                caller.client._connection._socket.transport.abort()
            cancelled += 1

    async def one_call_after_another() -> None:
        while cancelled < turns:
            try:
                await one_call()
            except CallRefused as refused:
                # A busy machine takes no new calls: come again.
                if refused.code != "at_capacity":
                    raise
                await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as callers:
        for _ in range(at_once):
            callers.create_task(one_call_after_another())
    return cancelled


async def _begun(caller: Caller, stage: int) -> None:
    """A reply that is being asked for, written, or spoken."""
    await caller.client.send_text("Tell me everything that you know about the sea.")
    if stage == 1:
        await caller.until_a(told.ReplyText, LIMIT_S)
    elif stage == 2:
        await caller.until_a(told.Audio, LIMIT_S)


async def _cancelled(caller: Caller, number: int) -> int:
    """A reply that is cancelled; one of four by the next turn's being said over it."""
    await _begun(caller, number % 3)
    talked_over = number % 4 == 3
    if talked_over:
        await _begun(caller, 2)
    await caller.client.interrupt()
    ended = [await caller.until_a(told.ReplyDone, LIMIT_S) for _ in range(1 + talked_over)]
    caller.events.clear()
    return sum(done.status == "interrupted" for done in ended)
