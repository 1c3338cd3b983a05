"""Measures a replica's load while calls run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from serve_app.errors import StageError
from serve_app.load import Load

LAG_EVERY_S = 0.1
VOICE_EVERY_S = 1.0
"""Of these and a wake-up's few microseconds one replica pays 10 + 1 a second, whatever it holds."""


async def watch(load: Load, voice_wait_ms: Callable[[], Awaitable[float]]) -> None:
    """Until cancelled. A voice stage that does not answer is not known to be full."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_watch_lag(load))
        tasks.create_task(_watch_voice(load, voice_wait_ms))


async def _watch_lag(load: Load) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        now = loop.time()
        load.woke_late((now - due) * 1000, now)


async def _watch_voice(load: Load, voice_wait_ms: Callable[[], Awaitable[float]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(VOICE_EVERY_S)
        try:
            wait_ms = await voice_wait_ms()
        except StageError:
            continue
        load.voice_would_wait(wait_ms, loop.time())
