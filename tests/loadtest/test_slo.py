"""Objectives: read, judged, and named where they are not kept."""

from __future__ import annotations

import pytest

from loadtest.figures import Step, figures_of
from loadtest.graph import ROOT
from loadtest.slo import BadObjectives, read_objectives
from tests.loadtest.made import run, wrong

TEXT = """
[always]
leaks = {at_most = 0}
[steady]
first_audio_p95_ms = {at_most = 1000}
unanswered_percent = {at_most = 1}
[ramp]
knee_calls = {at_least = 8}
"""


def test_a_good_run_keeps_them_all() -> None:
    """Those of a steady run; the ramp's are not asked."""
    verdicts = read_objectives(TEXT).verdicts(figures_of(run()), [])
    assert [verdict.objective.figure for verdict in verdicts] == [
        "leaks",
        "first_audio_p95_ms",
        "unanswered_percent",
    ]
    assert all(verdict.kept for verdict in verdicts)


def test_each_that_is_not_kept_says_so_in_a_line() -> None:
    """With what was measured."""
    verdicts = read_objectives(TEXT).verdicts(figures_of([*run(), *wrong()]), [])
    assert [v.line for v in verdicts if not v.kept] == [
        "leaks: 1, at most 0",
        "unanswered_percent: 3.7037, at most 1",
    ]


def test_what_was_not_measured_is_not_kept() -> None:
    """An empty run is no success."""
    verdicts = read_objectives(TEXT).verdicts(figures_of([]), [])
    assert [v.line for v in verdicts if not v.kept] == [
        "first_audio_p95_ms: not measured, at most 1000",
        "unanswered_percent: not measured, at most 1",
    ]


def test_the_knee_is_the_last_step_before_the_first_that_does_not_hold() -> None:
    """A later one that holds again does not count."""
    objectives = read_objectives(TEXT)
    slow, quick = figures_of(run(first_ms=2_000.0)), figures_of(run())
    steps = [Step(4, quick), Step(8, quick), Step(12, slow), Step(16, quick)]
    assert objectives.knee(steps) == 8
    assert all(v.kept for v in objectives.verdicts(quick, steps))
    broken = [v.line for v in objectives.verdicts(quick, steps[2:]) if not v.kept]
    assert broken == ["knee_calls: 0, at least 8"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[steady", "not TOML"),
        ("[sometimes]\nleaks = {at_most = 0}", "unknown section 'sometimes'"),
        ("[always]\nlekas = {at_most = 0}", "unknown figure 'lekas'"),
        ("[always]\nleaks = 0", "'leaks' needs"),
        ("[always]\nleaks = {at_most = 0, at_least = 0}", "'leaks' needs"),
        ("always = 3", "'always' is not a section"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_line(text: str, said: str) -> None:
    """It says what and where."""
    with pytest.raises(BadObjectives, match=said) as error:
        read_objectives(text)
    assert "\n" not in str(error.value)


def test_the_file_that_is_shipped_can_be_read() -> None:
    """A leak is never allowed."""
    objectives = read_objectives((ROOT / "loadtest" / "slo.toml").read_text())
    assert ("leaks", 0) in [(o.figure, o.value) for o in objectives.always]
