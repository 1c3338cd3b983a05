"""Measuring a replica's load, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serve_app.errors import StageLost
from serve_app.load import Load, Shed
from serve_app.load_watch import VOICE_EVERY_S, watch
from tests.virtual_time import in_virtual_time


async def watched(load: Load, voice: Callable[[], Awaitable[float]], seconds: float) -> None:
    """Watch a load for so long."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await watch(load, voice)


async def no_wait() -> float:
    """A voice that is free."""
    return 0.0


@in_virtual_time
async def test_a_loop_that_is_never_late_has_no_lag() -> None:
    """Wake-ups are measured all the time."""
    load = Load()
    await watched(load, no_wait, 5.0)
    assert load.lag_ms(asyncio.get_running_loop().time()) == pytest.approx(0, abs=1e-6)


@in_virtual_time
async def test_the_voice_is_asked_again_and_again() -> None:
    """What it forecasts decides about new calls."""
    load, forecasts = Load(), [500.0, 500.0, 500.0]

    async def voice() -> float:
        return forecasts.pop(0)

    with pytest.raises(ExceptionGroup):  # the fourth question has no answer here
        await watch(load, voice)
    assert load.shed(asyncio.get_running_loop().time()) == Shed.NEW_CALLS


@in_virtual_time
async def test_a_voice_stage_that_fails_is_asked_again() -> None:
    """It is not known to be full, and the watch goes on."""
    load, asked = Load(), 0

    async def voice() -> float:
        nonlocal asked
        asked += 1
        raise StageLost("tts", "gone")

    await watched(load, voice, 3.5 * VOICE_EVERY_S)
    assert asked == 3
    assert load.shed(asyncio.get_running_loop().time()) == Shed.NOTHING
