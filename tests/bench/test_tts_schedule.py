"""The simulation of one voice: what it measures, and what order by deadline is worth."""

from __future__ import annotations

import statistics

import pytest

from bench.tts_schedule import CALLS, POLICIES, Outcome, Policy, Simulation, table

FIRST_COME, DEADLINE, FIRST_COME_CUT, DEADLINE_CUT = POLICIES
SECONDS = 1_800.0


def played(policy: Policy, calls: int) -> Outcome:
    """One run."""
    return Simulation(policy, calls).run(SECONDS)


def test_a_caller_alone_never_waits() -> None:
    """First audio after exactly what the voice takes, and no underrun."""
    outcome = played(FIRST_COME, 1)
    assert outcome.first_audio_s == pytest.approx([0.1] * outcome.replies)
    assert outcome.underruns_s == []


def test_a_run_can_be_repeated() -> None:
    """The seed is all there is of chance; another one gives another run."""
    assert played(DEADLINE, 3) == played(DEADLINE, 3)
    assert Simulation(DEADLINE, 3, seed=1).run(SECONDS) != played(DEADLINE, 3)


@pytest.mark.parametrize("calls", [4, 5, 6])
def test_deadlines_bring_first_audio_sooner(calls: int) -> None:
    """A first phrase does not wait for callers who still have something to hear."""
    for by_arrival, by_deadline in ((FIRST_COME, DEADLINE), (FIRST_COME_CUT, DEADLINE_CUT)):
        arrival = statistics.fmean(played(by_arrival, calls).first_audio_s)
        assert statistics.fmean(played(by_deadline, calls).first_audio_s) < arrival


@pytest.mark.parametrize("calls", [2, 3, 4, 5])
def test_deadlines_and_short_phrases_break_few_replies(calls: int) -> None:
    """At most one in a hundred, and less than half of what first come, first served breaks."""
    ordered, by_arrival = played(DEADLINE_CUT, calls), played(FIRST_COME, calls)
    assert len(ordered.underruns_s) <= ordered.replies / 100
    assert len(ordered.underruns_s) < len(by_arrival.underruns_s) / 2


def test_a_full_voice_breaks_replies_in_any_order() -> None:
    """Order makes no time: short phrases even cost some, but no silence is as long."""
    ordered, by_arrival = played(DEADLINE_CUT, 6), played(FIRST_COME, 6)
    assert ordered.busy_s > by_arrival.busy_s
    assert ordered.underruns_s != []
    assert max(ordered.underruns_s) < max(by_arrival.underruns_s)


def test_the_table_has_a_row_for_all_that_was_compared() -> None:
    """Calls by policies, under a head."""
    rows = list(table(200.0))
    assert len(rows) == 2 + len(CALLS) * len(POLICIES)
    assert {row.count("|") for row in rows} == {7}
