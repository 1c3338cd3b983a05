"""Serve's word to an ingress replica that it is to stop, and how long it then has.

Serve tells the code in a replica nothing: it waits for the requests in progress, and ends the
process when the grace period is over. What it does tell at once, behind either front door, is its
routers: which replicas of a deployment run. One that was among them, and is no more, is to stop:
for a new version, by scaling down, with its node, or as it is not healthy.

What routers listen with is private (LongPollClient), and so is the replica's configuration; no
public call says either. tests/e2e/test_draining.py fails where Ray changes them.
"""

# Ray's internals are typed in part.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from ray import serve
from ray.serve._private.long_poll import LongPollClient, LongPollNamespace
from ray.serve.context import _get_global_client


def graceful_shutdown_timeout_s() -> float:
    """What this replica's deployment is configured with, in the YAML too."""
    return serve.get_replica_context()._deployment_config.graceful_shutdown_timeout_s


class Running:
    """Which replicas run, as told again and again."""

    def __init__(self, own: object, told: Callable[[bool, int], None]) -> None:
        self._own = own
        self._told = told
        self._ran = False

    def hear(self, targets: Any) -> None:
        """A replica that does not run yet is not stopping."""
        running = {each.replica_id for each in targets.running_replicas}
        self._ran = self._ran or self._own in running
        if self._ran:
            self._told(self._own in running, len(running - {self._own}))


async def follow(told: Callable[[bool, int], None]) -> None:
    """Tell whether this replica is to run on, and how many others run, at each change; until
    cancelled. `told` is called in the loop that this is awaited in."""
    own: Any = serve.get_replica_context().replica_id
    controller = cast(Any, await asyncio.to_thread(_get_global_client))._controller
    key = (LongPollNamespace.DEPLOYMENT_TARGETS, own.deployment_id)
    client = LongPollClient(
        controller,
        cast(Any, {key: Running(own, told).hear}),
        call_in_event_loop=asyncio.get_running_loop(),
        client_id=f"parley stop notice {own.unique_id}",
    )
    try:
        await asyncio.Event().wait()
    finally:
        client.stop()
