"""Records → figures: of a whole run, of a step of a ramp, over time. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, TypeVar

from loadtest.records import (
    BargeIn,
    CallBegan,
    CameBack,
    Failure,
    Leak,
    Record,
    Second,
    ServerCpu,
    StepBegan,
    TurnEnded,
)

_Kind = TypeVar("_Kind")

SETTLE_S: Final = 5.0
"""The first seconds of a step of a ramp are not in its figures: its calls begin then."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution."""

    mean: float
    p50: float
    p95: float
    p99: float
    most: float
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Times in ms; None: not measured. `first_audio` is that of spoken turns."""

    calls: int
    most_calls: int
    call_minutes: float
    turns: int
    unanswered: int
    early: int
    underruns: int
    leaks: int
    failures: Mapping[str, int]
    first_audio: Spread | None
    typed_first_audio: Spread | None
    flush: Spread | None
    connect: Spread | None
    came_back: Spread | None
    stages: Mapping[str, Spread]
    lines: Mapping[str, Spread]
    late: Spread | None
    round_trip: Spread | None
    cpu_s_per_call_minute: float | None

    @property
    def calls_per_core(self) -> float | None:
        """Of the server's cores."""
        spent = self.cpu_s_per_call_minute
        return 60 / spent if spent else None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ramp."""

    calls: int
    figures: Figures


def figures_of(records: Sequence[Record]) -> Figures:
    """The figures of these records."""
    turns = _of(records, TurnEnded)
    spoken = [turn for turn in turns if turn.kind != "typed"]
    seconds = _of(records, Second)
    failures = Counter(failure.kind for failure in _of(records, Failure))
    return Figures(
        calls=len(_of(records, CallBegan)),
        most_calls=int(max((n for _, n in calls_over_time(records)), default=0)),
        call_minutes=sum(second.calls for second in seconds) / 60,
        turns=len(turns),
        unanswered=sum(turn.first_audio_ms is None for turn in turns),
        early=sum(turn.early for turn in turns),
        underruns=sum(turn.underruns for turn in turns),
        leaks=len(_of(records, Leak)),
        failures=dict(failures.most_common()),
        first_audio=_first_audio(spoken),
        typed_first_audio=_first_audio(turn for turn in turns if turn.kind == "typed"),
        flush=spread_of(b.flush_ms for b in _of(records, BargeIn)),
        connect=spread_of(call.connect_ms for call in _of(records, CallBegan)),
        came_back=spread_of(back.ms for back in _of(records, CameBack)),
        stages=_stages(turns),
        lines=_grouped(spoken, lambda turn: turn.line),
        late=spread_of(ms for second in seconds for ms in second.late_ms),
        round_trip=spread_of(ms for second in seconds for ms in second.round_trips_ms),
        cpu_s_per_call_minute=_cpu(records),
    )


def steps_of(records: Sequence[Record]) -> list[Step]:
    """The steps of a ramp, in order, each from when it has settled to when the next begins."""
    begun = _of(records, StepBegan)
    ends = [*(step.at for step in begun[1:]), math.inf]
    return [
        Step(step.calls, figures_of(between(records, step.at + SETTLE_S, end)))
        for step, end in zip(begun, ends, strict=False)
    ]


def between(records: Iterable[Record], start: float, end: float) -> list[Record]:
    """Those from `start` on and before `end`."""
    return [record for record in records if start <= record.at < end]


def began_at(records: Iterable[Record]) -> float:
    """When the first of them was made; 0 of none."""
    return min((record.at for record in records), default=0.0)


def calls_over_time(records: Iterable[Record], bucket_s: float = 1.0) -> list[tuple[float, float]]:
    """Calls at once of all processes, by time: the most that each said in a bucket, summed."""
    most: defaultdict[float, dict[str, int]] = defaultdict(dict)
    for second in _of(records, Second):
        bucket = most[second.at // bucket_s * bucket_s]
        bucket[second.process] = max(bucket.get(second.process, 0), second.calls)
    return [(at, float(sum(bucket.values()))) for at, bucket in sorted(most.items())]


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """The distribution of those that are not None; None of nothing."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Spread(fmean(ordered), p50, p95, p99, ordered[-1], len(ordered))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of sorted values, by linear interpolation between the two nearest ranks."""
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def _of(records: Iterable[Record], kind: type[_Kind]) -> list[_Kind]:
    return [record for record in records if isinstance(record, kind)]


def _first_audio(turns: Iterable[TurnEnded]) -> Spread | None:
    return spread_of(turn.first_audio_ms for turn in turns)


def _grouped(turns: Iterable[TurnEnded], key: Callable[[TurnEnded], str]) -> dict[str, Spread]:
    groups: defaultdict[str, list[TurnEnded]] = defaultdict(list)
    for turn in turns:
        groups[key(turn)].append(turn)
    spreads = ((name, _first_audio(group)) for name, group in sorted(groups.items()))
    return {name: spread for name, spread in spreads if spread is not None}


def _stages(turns: Iterable[TurnEnded]) -> dict[str, Spread]:
    """Typed turns have no pause and no transcript: their zeros are not measurements."""
    values: dict[str, list[float]] = {}
    for turn in turns:
        for stage, ms in turn.stages.items():
            if turn.kind != "typed" or stage not in ("pause_ms", "stt_ms"):
                values.setdefault(stage.removesuffix("_ms"), []).append(ms)
    spreads = ((stage, spread_of(times)) for stage, times in values.items())
    return {stage: spread for stage, spread in spreads if spread is not None}


def _cpu(records: Sequence[Record]) -> float | None:
    """Server CPU seconds a call-minute, from the first measurement to the last."""
    measured = _of(records, ServerCpu)
    if len(measured) < 2:
        return None
    first, last = measured[0], measured[-1]
    inside = between(records, first.at, last.at)
    minutes = sum(second.calls for second in _of(inside, Second)) / 60
    return (last.cpu_s - first.cpu_s) / minutes if minutes else None
