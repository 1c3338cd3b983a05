"""The autoscaling policy over a load, in virtual time: what it does as Serve asks it.

The policy is `serve_app/autoscaling.py` itself. Around it is what Serve does: metrics that are
means of the last `look_back_s` and come every `metrics_interval_s`, delays, bounds, and replicas
that take a while to start. Calls are spread evenly over the replicas that run.
"""

from __future__ import annotations

import csv
import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from bench.capacity.assumptions import LENGTH_S
from serve_app.autoscaling import QUEUE_AGE, ByLoadAndQueueAge

ROOT = Path(__file__).resolve().parents[2]
LOADS = Path(__file__).parent / "loads"
COLUMNS = ["minute", "calls_begun"]


class BadLoad(ValueError):
    """A file that is no load; says where."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """An `autoscaling_config` with Serve's defaults, and `max_calls` of a replica; times in s."""

    per_replica: float
    max_queue_age_ms: float
    max_calls: int
    min_replicas: int = 1
    max_replicas: int = 100
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    look_back_s: float = 30.0
    metrics_interval_s: float = 10.0

    @property
    def notices_s(self) -> float:
        """From a load that lasts to the decision, at most."""
        return self.look_back_s + self.metrics_interval_s + self.upscale_delay_s


def configured(path: Path = ROOT / "serve_config.yaml") -> Scaling:
    """The ingress of a configuration, without its upper bound: that is the machine's."""
    [application] = yaml.safe_load(path.read_text())["applications"]
    [ingress] = [each for each in application["deployments"] if each["name"] == "Ingress"]
    given: dict[str, Any] = dict(ingress["autoscaling_config"])
    arguments = given.pop("policy")["policy_kwargs"]
    del given["max_replicas"]
    return Scaling(max_calls=application["args"]["limits"]["max_calls"], **arguments, **given)


def load(path: Path) -> list[int]:
    """Calls begun in each minute. Raises BadLoad."""
    with path.open(newline="") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    if head != COLUMNS:
        raise BadLoad(f"{path.name}: the first line must be {','.join(COLUMNS)}")
    begun = list[int]()
    for minute, row in enumerate(rows):
        if len(row) != 2 or row[0] != str(minute) or not row[1].isdecimal():
            raise BadLoad(f"{path.name}: minute {minute} must be {minute},<calls>, not {row}")
        begun.append(int(row[1]))
    if not any(begun):
        raise BadLoad(f"{path.name}: no call begins")
    return begun


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of Serve's AutoscalingContext that the policy reads."""

    total_num_requests: float
    current_num_replicas: int
    aggregated_metrics: dict[str, dict[int, float]]


class Delays:
    """A wish is carried out once it has pointed one way for the whole of the way's delay."""

    def __init__(self, up_s: float, down_s: float) -> None:
        self._delay_s = {1: up_s, -1: down_s}
        self._way = 0
        self._since = 0.0

    def decide(self, wanted: int, target: int, now: float) -> int:
        """The new target."""
        way = (wanted > target) - (wanted < target)
        if way != self._way:
            self._way, self._since = way, now
        if way == 0 or now - self._since < self._delay_s[way]:
            return target
        self._way = 0
        return wanted


@dataclass(slots=True)
class Course:
    """What became of a load; the lists have a value a second.

    `running`: replicas that take calls; `paid`: with those that start. `late`: calls that began
    at replicas which were later than their policy allows.
    """

    begun: int = 0
    refused: int = 0
    late: int = 0
    calls: list[int] = field(default_factory=list[int])
    running: list[int] = field(default_factory=list[int])
    paid: list[int] = field(default_factory=list[int])
    targets: list[int] = field(default_factory=list[int])

    @property
    def changes(self) -> int:
        """How often the number of replicas that were to be there changed."""
        return sum(a != b for a, b in pairwise(self.targets))

    @property
    def turns(self) -> int:
        """How often it went up after down, or down after up."""
        steps = [b - a for a, b in pairwise(self.targets) if a != b]
        return sum((a > 0) != (b > 0) for a, b in pairwise(steps))

    @property
    def replica_hours(self) -> float:
        """That are paid for."""
        return sum(self.paid) / 3600

    def needed(self, per_replica: float, least: int = 1) -> list[int]:
        """The fewest replicas that carry the calls, a value a second."""
        return [max(least, math.ceil(calls / per_replica)) for calls in self.calls]

    def longest_short_s(self, per_replica: float) -> int:
        """The longest time in one piece with fewer than those."""
        longest = short = 0
        for running, needed in zip(self.running, self.needed(per_replica), strict=True):
            short = short + 1 if running < needed else 0
            longest = max(longest, short)
        return longest


class _Ingresses:
    """Replicas that start, run and stop, as the target says."""

    def __init__(self, running: int, starts_s: float) -> None:
        self.running = running
        self._starts_s = starts_s
        self._ready_at: list[float] = []

    @property
    def paid(self) -> int:
        return self.running + len(self._ready_at)

    def tick(self, now: float) -> None:
        """Those that have started run."""
        while self._ready_at and self._ready_at[0] <= now:
            self._ready_at.pop(0)
            self.running += 1

    def follow(self, target: int, now: float) -> None:
        """More are started; of too many those that start are given up first."""
        while self.paid < target:
            self._ready_at.append(now + self._starts_s)
        while self.paid > target and self._ready_at:
            self._ready_at.pop()
        self.running = min(self.running, target)


def age_ms(calls: float, carries: float, max_queue_age_ms: float) -> float:
    """How late a loop is: by the square of its calls, and what is allowed at `carries`. Assumed."""
    return max_queue_age_ms * (calls / carries) ** 2


def play(
    begun: Sequence[int],
    scaling: Scaling,
    *,
    starts_s: float,
    carries: float,
    length_s: float = LENGTH_S,
    seed: int = 0,
) -> Course:
    """The load, second by second. `length_s`: mean of a call; lengths are exponential.

    It begins as if the first minute had been going on for ever, with as many replicas as carry it.
    Raises ValueError where a replica carries nothing, or calls last no time.
    """
    if carries <= 0 or length_s <= 0 or starts_s < 0 or not begun:
        raise ValueError("carries and length_s must be above 0, starts_s not below, calls begin")
    chance = random.Random(seed)
    policy: Callable[[Any], tuple[int, Any]] = ByLoadAndQueueAge(
        scaling.per_replica, scaling.max_queue_age_ms
    )
    delays = Delays(scaling.upscale_delay_s, scaling.downscale_delay_s)
    there = round(begun[0] * length_s / 60)
    ends = sorted(chance.expovariate(1 / length_s) for _ in range(there))
    target = max(scaling.min_replicas, math.ceil(there / min(scaling.per_replica, carries)))
    replicas = _Ingresses(target, starts_s)
    course = Course()
    recent: deque[tuple[int, float]] = deque(maxlen=round(scaling.look_back_s))
    told = (0.0, 0.0)
    arrivals = _arrivals(begun, chance)
    for now in range(len(begun) * 60):
        replicas.tick(now)
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        for _ in range(arrivals[now]):
            course.begun += 1
            if len(ends) >= replicas.running * scaling.max_calls:
                course.refused += 1
                continue
            heapq.heappush(ends, now + chance.expovariate(1 / length_s))
            course.late += len(ends) > replicas.running * carries
        waits_ms = age_ms(len(ends) / replicas.running, carries, scaling.max_queue_age_ms)
        recent.append((len(ends), waits_ms))
        if now % scaling.metrics_interval_s == 0:
            told = (fmean(calls for calls, _ in recent), fmean(age for _, age in recent))
        ages = dict.fromkeys(range(replicas.running), told[1])
        wanted, _ = policy(Seen(told[0], replicas.running, {QUEUE_AGE: ages}))
        target = delays.decide(wanted, target, now)
        target = min(max(target, scaling.min_replicas), scaling.max_replicas)
        replicas.follow(target, now)
        course.calls.append(len(ends))
        course.running.append(replicas.running)
        course.paid.append(replicas.paid)
        course.targets.append(target)
    return course


def _arrivals(begun: Sequence[int], chance: random.Random) -> list[int]:
    """Calls that begin in each second: those of a minute fall anywhere in it."""
    seconds = [0] * (len(begun) * 60)
    for minute, calls in enumerate(begun):
        for _ in range(calls):
            seconds[minute * 60 + chance.randrange(60)] += 1
    return seconds
