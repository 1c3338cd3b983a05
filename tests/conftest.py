"""Every test leaves as it came: no task and no thread of ours outlives it."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest

# How long an example takes says how busy the machine is, nothing of the code.
hypothesis.settings.register_profile("parley", deadline=None)
hypothesis.settings.register_profile(
    "soak", deadline=None, max_examples=100_000, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("parley")

THREAD_GRACE_S = 2.0
"""A closed executor's threads end a moment after it says so."""


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves threads behind, and an async one that leaves tasks.

    Set up first, so torn down last: what other fixtures close is closed by then.
    """
    function = getattr(request.node, "obj", None)
    if inspect.iscoroutinefunction(function):
        request.getfixturevalue("no_task_leaks")
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_GRACE_S
    for thread in _ours() - before:
        thread.join(max(0.0, deadline - time.monotonic()))
    leaked = sorted(thread.name for thread in _ours() - before)
    assert not leaked, f"threads left running: {leaked}"


def _ours() -> set[threading.Thread]:
    """Live threads that keep a process from ending; the loop ends its own executor's later."""
    return {
        thread
        for thread in threading.enumerate()
        if not thread.daemon and not thread.name.startswith("asyncio_")
    }


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another server listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
async def no_task_leaks() -> AsyncIterator[None]:
    """Fail if tasks that this test started are still running after its fixtures are closed."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in leaked:
        task.cancel()
    assert not leaked, f"tasks left running: {[repr(task.get_coro()) for task in leaked]}"
