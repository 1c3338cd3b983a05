"""Figures of records."""

from __future__ import annotations

import pytest

from loadtest.figures import calls_over_time, figures_of, percentile, spread_of, steps_of
from loadtest.records import Failure, StepBegan
from tests.loadtest.made import LINE, run, seconds, turn, wrong


def test_the_figures_of_a_minute() -> None:
    """Spoken turns alone make up first audio; typed ones have no pause and no transcript."""
    figures = figures_of(run(first_ms=900.0))
    assert (figures.calls, figures.most_calls, figures.turns) == (4, 4, 25)
    assert figures.call_minutes == 4
    assert figures.first_audio is not None
    assert (figures.first_audio.p50, figures.first_audio.count) == (909.5, 20)
    assert figures.typed_first_audio is not None
    assert figures.typed_first_audio.p95 == 400
    assert figures.stages["stt"].count == 20
    assert figures.stages["llm"].count == 25
    assert figures.flush is not None
    assert figures.flush.p95 == 320
    assert figures.lines[LINE].count == 20
    assert figures.late is not None
    assert figures.late.most == 3
    assert (figures.leaks, figures.failures) == (0, {})


def test_calls_a_core_is_of_what_the_server_spent() -> None:
    """16 CPU seconds over 4 call-minutes: 4 a call-minute, 15 calls on a core."""
    figures = figures_of(run())
    assert figures.cpu_s_per_call_minute == pytest.approx(4.0)
    assert figures.calls_per_core == pytest.approx(15.0)
    assert figures_of(list(seconds(0.0, 9, 2))).calls_per_core is None


def test_what_goes_wrong_is_counted_by_class() -> None:
    """Each in its own figure."""
    figures = figures_of([*run(), *wrong()])
    assert (figures.unanswered, figures.early, figures.underruns, figures.leaks) == (1, 1, 3, 1)
    assert figures.failures == {"unanswered": 2}


def test_calls_of_several_processes_add_up() -> None:
    """By the second."""
    both = [*seconds(5.2, 2, 3, "a"), *seconds(5.7, 1, 4, "b")]
    assert calls_over_time(both) == [(5.0, 7.0), (6.0, 3.0)]


def test_a_step_has_what_came_after_it_settled_and_before_the_next() -> None:
    """Turns of its first five seconds are left out."""
    steps = steps_of(
        [
            StepBegan(0.0, 4),
            turn(4.0, 9_000.0),
            turn(6.0, 800.0),
            StepBegan(30.0, 8),
            turn(31.0, 9_000.0),
            turn(40.0, 1_600.0),
            Failure(50.0, 1, LINE, "lost: 1006", "x"),
        ]
    )
    assert [step.calls for step in steps] == [4, 8]
    assert [s.figures.first_audio and s.figures.first_audio.p95 for s in steps] == [800, 1_600]
    assert [sum(s.figures.failures.values()) for s in steps] == [0, 1]


def test_nothing_measured_has_no_distribution() -> None:
    """None, and not zero."""
    assert spread_of([None, None]) is None
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert figures_of([]).first_audio is None
