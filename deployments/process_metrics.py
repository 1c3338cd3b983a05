"""What a replica of any deployment holds: a figure that calls must not leave higher.

Ray exports it, as `ray_<name>`, beside its own of every process: memory, files, CPU.
"""

from __future__ import annotations

import asyncio
from functools import cache

from ray.serve.metrics import Gauge


@cache
def tasks() -> Gauge:
    """Made on first use, in the replica."""
    return Gauge("parley_tasks", "Tasks on this replica's event loop.")


def tell() -> None:
    """Set the gauges: at each health check, as Ray drops what was not set for 20 s."""
    tasks().set(len(asyncio.all_tasks()))
