"""An event loop whose clock jumps to the next timer when nothing is ready.

Pacing and time-outs become exact and instant. Not for code that waits for threads: while a thread
works nothing is ready, so time would run ahead of it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")


class Stuck(AssertionError):
    """Everything waits, and no timer will ever end it."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("every task waits and no timer is set")
            self.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual: it passes only while every task waits."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual.now

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As on uvloop, where the ingress runs: what is due already is a plain handle, without
        `when()`."""
        if when <= self.time():
            return cast(Any, self.call_soon(callback, *args, context=context))
        return super().call_at(when, callback, *args, context=context)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a test in virtual time; fails if it leaves a task or a generator behind."""

    async def alone() -> T:
        result = await coroutine
        # What was cancelled needs a few passes of the loop to be gone.
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(alone())


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Makes an async test one that runs in virtual time."""

    @wraps(test)
    def run_test(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(test(*args, **kwargs))

    return run_test
