"""What a voice was asked for, and how long another phrase would wait."""

from __future__ import annotations

import pytest

from deployments.backlog import STRANGER_S, Backlog
from deployments.contracts import Urgency
from deployments.schedule import Job, Pace

MADE_S = Pace().making_s(100)


def job(key: int, urgency: Urgency = "first") -> Job:
    """A phrase of 100 characters, due now."""
    return Job(key, urgency, 0.0, 100)


def test_nothing_asked_is_no_wait() -> None:
    """Whatever time it is."""
    assert Backlog().wait_s(job(1), 5.0) == 0.0


def test_what_runs_is_waited_for_less_and_less() -> None:
    """Down to nothing, however late it is."""
    backlog = Backlog()
    backlog.add(job(1), 10.0)
    assert backlog.wait_s(job(2), 10.0) == pytest.approx(MADE_S)
    assert backlog.wait_s(job(2), 10.5) == pytest.approx(MADE_S - 0.5)
    assert backlog.wait_s(job(2), 99.0) == 0.0


def test_what_is_less_urgent_is_not_waited_for() -> None:
    """But for what runs, which nobody interrupts."""
    backlog = Backlog()
    for key, urgency in enumerate(("offline", "later", "first")):
        backlog.add(job(key, urgency), 0.0)  # type: ignore[arg-type]
    assert backlog.wait_s(job(9, "first"), 0.0) == pytest.approx(2 * MADE_S)
    assert backlog.wait_s(job(9, "speculative"), 0.0) == pytest.approx(3 * MADE_S)


def test_the_next_begins_when_one_is_made() -> None:
    """From then on it is the one that runs; an unknown key is nothing."""
    backlog = Backlog()
    backlog.add(job(1), 0.0)
    backlog.add(job(2), 0.0)
    backlog.remove(1, 3.0)
    backlog.remove(7, 3.5)
    assert backlog.wait_s(job(3), 3.5) == pytest.approx(MADE_S - 0.5)


def test_what_others_asked_counts_by_its_number() -> None:
    """As a phrase of usual length each; fewer than are known here are no less than none."""
    backlog = Backlog()
    backlog.add(job(1), 0.0)
    known = backlog.wait_s(job(2), 0.0)
    assert backlog.wait_s(job(2), 0.0, in_all=3) == pytest.approx(known + 2 * STRANGER_S)
    assert backlog.wait_s(job(2), 0.0, in_all=0) == known
