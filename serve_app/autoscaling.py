"""How many replicas a deployment needs, by what it carries and how long its work waits.

Serve's controller asks `ByLoadAndQueueAge` and keeps to the bounds and delays of the configuration.
It is sent this module by value, so nothing of ours is imported here. CPU says nothing: a replica is
too small long before its processor is busy, and a GPU is always busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

QUEUE_AGE: Final = "queue_age_ms"
"""What a replica reports by `record_autoscaling_stats`: how long its newest work waits, in ms."""
_STEP = 0.25
"""Where work waits, a quarter more replicas, at least one."""


def replicas_needed(
    load: float,
    queue_ages_ms: Iterable[float],
    replicas: int,
    *,
    per_replica: float,
    max_queue_age_ms: float,
) -> int:
    """How many there should be, of `replicas` that are there now.

    `load`: calls or streams in progress; `per_replica`: what one carries well. As long as the work
    of the average replica waits more than half of `max_queue_age_ms`, none is taken away.
    """
    by_load = max(1, math.ceil(load / per_replica))
    ages = list(queue_ages_ms)
    age_ms = sum(ages) / len(ages) if ages else 0.0
    if age_ms > max_queue_age_ms:
        return max(by_load, replicas + math.ceil(replicas * _STEP))
    return max(by_load, replicas) if age_ms > max_queue_age_ms / 2 else by_load


class ByLoadAndQueueAge:
    """A policy for Serve's `autoscaling_config`; the arguments are its `policy_kwargs`."""

    def __init__(self, per_replica: float, max_queue_age_ms: float) -> None:
        if per_replica <= 0 or max_queue_age_ms <= 0:
            raise ValueError("per_replica and max_queue_age_ms must be above 0")
        self._per_replica = per_replica
        self._max_queue_age_ms = max_queue_age_ms

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Of Serve's AutoscalingContext: replicas wanted, and no state of its own."""
        reported: dict[str, dict[Any, float]] = context.aggregated_metrics or {}
        wanted = replicas_needed(
            context.total_num_requests,
            reported.get(QUEUE_AGE, {}).values(),
            context.current_num_replicas,
            per_replica=self._per_replica,
            max_queue_age_ms=self._max_queue_age_ms,
        )
        return wanted, {}
