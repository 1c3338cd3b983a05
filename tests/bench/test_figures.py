"""Turns and costs → figures."""

import math
from dataclasses import replace

import pytest

from bench.figures import (
    Difference,
    Figures,
    as_json,
    figures_of,
    from_json,
    knee,
    paired,
    percentile,
    spread_of,
)
from tests.bench.rows import row


def figures(calls: int, p95: float, underruns: int = 0) -> Figures:
    """A row of a knee."""
    made = figures_of("x", None, row([p95, p95]))
    return replace(made, calls=calls, underruns=underruns)


def test_figures() -> None:
    """A row's turns and costs, as figures."""
    made = figures_of("parley", 2, row([500.0, 600.0, None, 200.0]))
    assert made.first_audio is not None
    assert made.first_audio.mean == pytest.approx(1300 / 3)
    assert made.first_audio_by_alignment == {0: 500.0, 1: 600.0, 3: 200.0}
    assert (made.turns, made.unanswered, made.too_early) == (4, 1, 1)
    assert made.cpu == pytest.approx(3.0)
    assert made.cpu_without_ray == pytest.approx(2.0)
    assert made.stage_excess_ms == {"stt_ms": 10.0}
    assert (made.memory_before_mb, made.memory_after_mb) == (10.0, 12.0)


def test_p99_needs_calls() -> None:
    """p99 is stated from 8 calls up only."""
    few, many = spread_of([1.0, 2.0], 4), spread_of([1.0, 2.0], 8)
    assert few is not None
    assert many is not None
    assert few.p99 is None
    assert many.p99 == pytest.approx(1.99)


@pytest.mark.parametrize(("percent", "value"), [(0, 10.0), (50, 25.0), (95, 38.5), (100, 40.0)])
def test_percentile(percent: float, value: float) -> None:
    """Between ranks by straight lines; the order given does not matter."""
    assert percentile([40.0, 10.0, 30.0, 20.0], percent) == pytest.approx(value)


def test_paired() -> None:
    """Only shared alignments count; the interval is that of the mean difference."""
    assert paired({0: 12.0, 1: 14.0, 2: 99.0}, {0: 10.0, 1: 10.0}) == Difference(
        3.0, pytest.approx(1.96)
    )
    assert paired({0: 1.0}, {1: 1.0}) is None
    assert paired({0: 3.0}, {0: 1.0}) == Difference(2.0, math.inf)


def test_knee_ends_at_the_first_row_that_fails() -> None:
    """A later row that happens to hold does not count."""
    rows = [figures(16, 600), figures(8, 500), figures(24, 1300), figures(32, 600)]
    assert knee(rows, 600) == 16
    assert knee([figures(8, 500, underruns=1), figures(16, 500)], 600) == 0


def test_json_there_and_back() -> None:
    """Figures survive the file."""
    made = figures_of("parley", None, row([500.0, 600.0]))
    assert from_json(as_json(made)) == made
