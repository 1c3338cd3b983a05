"""How a stage comes up: after the others where asked, and telling what it does."""

# Ray's status is typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast

from ray import serve

from deployments import progress
from deployments.contracts import LoadFailed
from deployments.download_watch import watched

log = logging.getLogger("ray.serve")

LOADING = "loading and warming up"

POLL_S = 0.5

LOAD_AFTER_LIMIT_S = 1_800.0
"""Waiting longer for a stage that may never load would keep this one from ever serving."""


@contextmanager
def loading(stage: str) -> Generator[None, None, None]:
    """Around a backend's `load`: what it fetches and does is told."""
    progress.tell(stage, LOADING)
    try:
        with watched(lambda state: progress.tell(stage, state or LOADING)):
            yield
    except LoadFailed as error:
        progress.tell_failed(stage, " ".join(str(error).split()))
        raise
    progress.tell_ready(stage)


async def others_loaded(stage: str, replicas: Mapping[str, int]) -> None:
    """Wait until so many replicas of each deployment of this application are loaded.

    Asks Serve's controller, as a handle would answer for just one of two replicas.
    """
    if not replicas:
        return
    application = serve.get_replica_context().app_name
    deadline = time.monotonic() + LOAD_AFTER_LIMIT_S
    told: list[str] = []
    while missing := await _missing(application, replicas):
        if missing != told:
            told = missing
            progress.tell(stage, f"waiting for {' and '.join(missing)}")
        if time.monotonic() > deadline:
            log.warning("%s: loads now: %s did not", stage, ", ".join(missing))
            return
        await asyncio.sleep(POLL_S)


async def _missing(application: str, replicas: Mapping[str, int]) -> list[str]:
    running = await asyncio.to_thread(_running, application)
    return [name for name, count in replicas.items() if running.get(name, 0) < count]


def _running(application: str) -> dict[str, int]:
    """How many replicas of each deployment have loaded."""
    status = serve.status().applications.get(application)
    deployments = status.deployments if status else {}
    states = {n: cast(Mapping[str, int], d.replica_states) for n, d in deployments.items()}
    return {name: counts.get("RUNNING", 0) for name, counts in states.items()}
