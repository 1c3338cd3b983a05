"""A replica that is to stop: which call leaves when."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from serve_app.draining import CLOSING_S, TOGETHER, Draining, check_budget
from serve_app.errors import ConfigError, PeerError

BUDGET_S = 60.0
GRACE_S = 300.0


@dataclass(frozen=True)
class Held:
    """A call of the replica."""

    returns: bool
    quiet: bool


TALKING = Held(returns=True, quiet=False)
QUIET = Held(returns=True, quiet=True)
ON_THE_PHONE = Held(returns=False, quiet=True)
ALL = [TALKING, QUIET, ON_THE_PHONE]


def stopping(others: int = 1) -> Draining:
    """Told to stop at 100."""
    draining = Draining(BUDGET_S, GRACE_S)
    draining.told(True, others, 90.0)
    draining.told(False, others, 100.0)
    return draining


def test_nobody_leaves_a_replica_that_runs() -> None:
    """And it takes calls, however long it runs."""
    draining = Draining(BUDGET_S, GRACE_S)
    draining.told(True, 1, 0.0)
    draining.check()
    assert draining.leaving(ALL, 10_000.0) == []


def test_new_calls_are_refused_once_it_is_to_stop() -> None:
    """With what sends the caller to another replica, soon."""
    with pytest.raises(PeerError) as caught:
        stopping().check()
    error = caught.value
    assert (error.code, error.status, error.retry_after_s) == ("stopping", 503, 1)
    assert error.close_code == 1013


def test_who_can_come_back_leaves_between_turns() -> None:
    """Not in a reply, and not before there is another replica to go to."""
    draining = stopping(others=0)
    assert draining.leaving(ALL, 101.0) == []
    draining.told(False, 1, 102.0)
    assert draining.leaving(ALL, 102.0) == [QUIET]


def test_they_do_not_all_come_back_at_once() -> None:
    """So many in one look."""
    assert len(stopping().leaving([QUIET] * 3 * TOGETHER, 101.0)) == TOGETHER


@pytest.mark.parametrize("others", [0, 1])
def test_who_talks_through_the_budget_leaves_too(others: int) -> None:
    """Counted from the first word that it is to stop; others there or not."""
    draining = stopping(others)
    draining.told(False, others, 150.0)
    assert TALKING not in draining.leaving(ALL, 100.0 + BUDGET_S - 0.1)
    assert draining.leaving(ALL, 100.0 + BUDGET_S) == [TALKING, QUIET]


def test_who_cannot_come_back_has_the_whole_grace_period() -> None:
    """But for the moment that it takes to say goodbye."""
    draining = stopping()
    end = 100.0 + GRACE_S - CLOSING_S
    assert ON_THE_PHONE not in draining.leaving(ALL, end - 0.1)
    assert draining.leaving(ALL, end) == ALL


def test_a_replica_that_is_to_run_on_after_all() -> None:
    """It takes calls again, and keeps those it has."""
    draining = stopping()
    draining.told(True, 1, 110.0)
    draining.check()
    assert draining.leaving(ALL, 10_000.0) == []


def test_a_budget_must_end_before_the_grace_period() -> None:
    """Else the grace period would cut what is to be moved; one line says what to change."""
    check_budget(15.0, 20.0, "that")
    with pytest.raises(ConfigError) as caught:
        check_budget(15.5, 20.0, "that")
    assert str(caught.value) == (
        "limits.drain_s is 15.5, and a replica is ended 20 s after it is told to stop: "
        "lower it to 15 or less, or raise that"
    )
