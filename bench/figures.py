"""Turns and costs → the figures of a row, and the differences between systems. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from bench.caller import Turn
from bench.plan import FIRST_AUDIO_MS, FIRST_TOKEN_MS, P99_FROM_CALLS, STT_MS
from bench.process_tree import RAY_PARTS, Parts, total
from bench.row import Row

NOMINAL_STAGE_MS = {"stt_ms": STT_MS, "llm_ms": FIRST_TOKEN_MS, "tts_ms": FIRST_AUDIO_MS}
NORMAL_95 = 1.96
KNEE_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in ms; p99 is None where there are too few calls for one."""

    mean: float
    p50: float
    p95: float
    p99: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of paired differences and half its 95 % interval."""

    mean: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the tables. Times in ms, memory in MB, CPU in s a call-minute."""

    system: str
    calls: int
    slots: int | None
    first_audio: Spread | None
    first_audio_by_alignment: dict[int, float]
    after_end_of_turn_ms: float | None
    stage_excess_ms: dict[str, float]
    turns: int
    unanswered: int
    too_early: int
    underruns: int
    flush_by_alignment: dict[int, float]
    flush: Spread | None
    last_audio: Spread | None
    cpu_by_part: Parts
    cpu: float
    memory_before_mb: float
    memory_after_mb: float
    ping: Spread | None
    client_late_p95_ms: float
    lost_calls: int

    @property
    def cpu_without_ray(self) -> float:
        """CPU of the deployments alone."""
        return sum(spent for part, spent in self.cpu_by_part.items() if part not in RAY_PARTS)


def figures_of(system: str, slots: int | None, row: Row) -> Figures:
    """The figures of what was measured."""
    turns = [turn for call in row.calls for turn in call.turns]
    calls = len(row.calls)
    answered = [(turn, turn.first_audio_ms) for turn in turns if turn.first_audio_ms is not None]
    first = [ms for _, ms in answered]
    flushes = [(turn, turn.flush_ms) for turn in turns if turn.flush_ms is not None]
    late = [ms for call in row.calls for ms in call.late_ms]
    minutes = sum(call.seconds for call in row.calls) / 60
    cpu = {part: seconds / minutes for part, seconds in row.cpu_s.items()}
    return Figures(
        system=system,
        calls=calls,
        slots=slots,
        first_audio=spread_of(first, calls),
        first_audio_by_alignment=_by_alignment(answered),
        after_end_of_turn_ms=_mean(ms - turn.due_ms for turn, ms in answered),
        stage_excess_ms=_stage_excess(turns),
        turns=len(turns),
        unanswered=len(turns) - len(answered),
        too_early=sum(ms < turn.due_ms for turn, ms in answered),
        underruns=sum(turn.underruns for turn in turns),
        flush_by_alignment=_by_alignment(flushes),
        flush=spread_of([ms for _, ms in flushes], calls),
        last_audio=spread_of(
            [turn.last_audio_ms for turn in turns if turn.last_audio_ms is not None], calls
        ),
        cpu_by_part=cpu,
        cpu=total(cpu),
        memory_before_mb=total(row.memory_before_mb),
        memory_after_mb=total(row.memory_after_mb),
        ping=spread_of([ms for call in row.calls for ms in call.ping_ms], calls),
        client_late_p95_ms=percentile(late, 95) if late else 0.0,
        lost_calls=sum(call.lost is not None for call in row.calls),
    )


def spread_of(values: Sequence[float], calls: int) -> Spread | None:
    """The distribution; None of nothing."""
    if not values:
        return None
    p99 = percentile(values, 99) if calls >= P99_FROM_CALLS else None
    return Spread(fmean(values), percentile(values, 50), percentile(values, 95), p99, len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the two nearest ranks."""
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """Ours less theirs over the alignments that both have; None where they share none."""
    differences = [ours[index] - theirs[index] for index in ours.keys() & theirs.keys()]
    if not differences:
        return None
    if len(differences) == 1:
        return Difference(differences[0], math.inf)
    half = NORMAL_95 * stdev(differences) / math.sqrt(len(differences))
    return Difference(fmean(differences), half)


def knee(rows: Iterable[Figures], floor_ms: float) -> int:
    """Most calls, from the fewest up, with p95 within twice the floor, and no gap or loss."""
    most = 0
    for row in sorted(rows, key=lambda row: row.calls):
        if not holds(row, floor_ms):
            return most
        most = row.calls
    return most


def holds(row: Figures, floor_ms: float) -> bool:
    """p95 is within twice the floor, without a gap or a loss."""
    first = row.first_audio
    clean = not (row.underruns or row.unanswered or row.lost_calls)
    return clean and first is not None and first.p95 <= KNEE_FACTOR * floor_ms


def as_json(figures: Figures) -> dict[str, Any]:
    """For bench/results."""
    return asdict(figures)


def from_json(entry: Mapping[str, Any]) -> Figures:
    """The reverse of `as_json`; JSON made the keys of alignments strings."""
    values = dict(entry)
    for name in ("first_audio", "flush", "last_audio", "ping"):
        values[name] = Spread(**values[name]) if values[name] else None
    for name in ("first_audio_by_alignment", "flush_by_alignment"):
        values[name] = {int(key): value for key, value in values[name].items()}
    return Figures(**values)


def _by_alignment(measured: Iterable[tuple[Turn, float]]) -> dict[int, float]:
    grouped: defaultdict[int, list[float]] = defaultdict(list)
    for turn, ms in measured:
        grouped[turn.alignment].append(ms)
    return {alignment: fmean(values) for alignment, values in sorted(grouped.items())}


def _stage_excess(turns: Sequence[Turn]) -> dict[str, float]:
    """Mean of what a system says a stage took, less what the stage takes."""
    excess: dict[str, float] = {}
    for stage, nominal_ms in NOMINAL_STAGE_MS.items():
        mean = _mean(turn.stages[stage] for turn in turns if stage in turn.stages)
        if mean is not None:
            excess[stage] = mean - nominal_ms
    return excess


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return fmean(listed) if listed else None
