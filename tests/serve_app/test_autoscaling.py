"""How many replicas a load needs."""

from __future__ import annotations

import asyncio
import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.autoscaling import QUEUE_AGE, ByLoadAndQueueAge, replicas_needed

RECORDED = Path(__file__).with_name("recorded_load.csv")
MORNING = [3, 9, 20, 41, 66, 90, 97, 96, 80, 55, 30, 12]
"""Calls in progress at a help desk, every five minutes from its opening on."""


def needed(load: float, ages_ms: list[float], replicas: int) -> int:
    """For replicas that carry 24 calls, and wait 40 ms at most."""
    return replicas_needed(load, ages_ms, replicas, per_replica=24, max_queue_age_ms=40)


@pytest.mark.parametrize(("load", "replicas"), [(0, 1), (1, 1), (24, 1), (25, 2), (240, 10)])
def test_calls_decide_while_nothing_waits(load: float, replicas: int) -> None:
    """As many as carry them, and one for the first call to come."""
    assert needed(load, [], 1) == needed(load, [1.0, 2.0], 2) == replicas


def test_work_that_waits_needs_more_than_its_count_says() -> None:
    """The calls are heavier than planned, or the machine is slower."""
    assert needed(10, [60.0], 1) == 2
    assert needed(10, [60.0] * 8, 8) == 10


def test_one_slow_replica_is_no_reason() -> None:
    """The others have room: the next call goes to them."""
    assert needed(80, [120.0, 1.0, 1.0, 1.0], 4) == 4


def test_none_is_taken_away_while_work_still_waits() -> None:
    """Else the number would go up and down for ever."""
    assert needed(10, [30.0] * 4, 4) == 4
    assert needed(10, [10.0] * 4, 4) == 1


def test_a_morning_is_followed() -> None:
    """Up with the calls and down again; nothing jumps."""
    replicas, path = 1, list[int]()
    for calls in MORNING:
        replicas = needed(calls, [2.0] * replicas, replicas)
        path.append(replicas)
    assert path == [1, 1, 1, 2, 3, 4, 5, 4, 4, 3, 2, 1]


def test_a_recorded_load_is_followed() -> None:
    """One ingress of the bench on two cores, as `bench.capacity.record` found it: company comes
    once it carries more than it should, or wakes late, and is sent away after it."""
    with RECORDED.open(newline="") as file:
        rows = [(int(row["calls"]), float(row["queue_age_ms"])) for row in csv.DictReader(file)]
    wanted = [needed(calls, [age_ms], 1) for calls, age_ms in rows]
    assert max(calls for calls, _ in rows) > 24
    assert wanted[0] == wanted[-1] == 1
    for (calls, age_ms), replicas in zip(rows, wanted, strict=True):
        assert replicas == (2 if calls > 24 or age_ms > 40 else 1)


def test_a_morning_with_heavier_calls_needs_more() -> None:
    """A replica that is late with 12 calls gets company, whatever it was planned to carry."""
    replicas, settled = 1, list[float]()
    for calls in MORNING[:8]:
        for _ in range(20):  # every 15 s
            lateness_ms = 40 * (calls / replicas / 12) ** 2
            replicas = needed(calls, [lateness_ms] * replicas, replicas)
        settled.append(calls / replicas)
    assert max(settled) <= 12
    assert min(settled[3:]) > 6


@given(
    st.floats(0, 10_000),
    st.lists(st.floats(0, 10_000), min_size=1, max_size=50),
    st.floats(0.5, 100),
    st.floats(1, 1_000),
)
def test_it_never_wants_fewer_than_carry_the_load(
    load: float, ages_ms: list[float], per_replica: float, max_age_ms: float
) -> None:
    """Nor none at all, nor more than a quarter above what is there for waiting alone."""
    wanted = replicas_needed(
        load, ages_ms, len(ages_ms), per_replica=per_replica, max_queue_age_ms=max_age_ms
    )
    enough = max(1, math.ceil(load / per_replica))
    assert enough <= wanted <= max(enough, len(ages_ms) + math.ceil(len(ages_ms) / 4))


@dataclass
class Context:
    """The part of Serve's AutoscalingContext that is read."""

    total_num_requests: float
    current_num_replicas: int
    aggregated_metrics: dict[str, dict[str, float]] | None = field(default=None)


def test_what_serve_tells_is_understood() -> None:
    """Calls, and what each replica reported; before any did, calls alone."""
    policy = ByLoadAndQueueAge(per_replica=24, max_queue_age_ms=40)
    assert policy(Context(30, 1)) == (2, {})
    assert policy(Context(3, 1, {QUEUE_AGE: {"a": 90.0}})) == (2, {})
    assert policy(Context(3, 1, {"other": {"a": 90.0}})) == (1, {})


@pytest.mark.parametrize("arguments", [(0, 40), (24, 0), (-1, 40)])
def test_a_policy_that_divides_by_nothing_is_refused(arguments: tuple[float, float]) -> None:
    """When the configuration is read, not at the first call."""
    with pytest.raises(ValueError, match="above 0"):
        ByLoadAndQueueAge(*arguments)


async def test_serve_accepts_the_policy() -> None:
    """By the name that serve_config.yaml has, sent by value."""
    from ray.serve.config import AutoscalingPolicy

    kwargs = {"per_replica": 24, "max_queue_age_ms": 40}
    named = AutoscalingPolicy(
        policy_function="serve_app.autoscaling:ByLoadAndQueueAge", policy_kwargs=kwargs
    )
    policy = named.get_policy()(**kwargs)
    assert await asyncio.to_thread(policy, Context(49, 1)) == (3, {})
