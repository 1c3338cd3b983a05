"""The circuit breaker: when it opens, who may try, and what closes it."""

from __future__ import annotations

from serve_app.breaker import COOL_DOWN_S, THRESHOLD, Breaker


def open_breaker(now: float) -> Breaker:
    """One that has just opened."""
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.failed(now)
    return breaker


def test_some_failures_are_no_reason() -> None:
    """Below the threshold everything goes out."""
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed(0)
        assert breaker.allows(0)


def test_it_opens_after_failures_in_a_row() -> None:
    """Nothing goes out until it cooled down."""
    breaker = open_breaker(100)
    assert not breaker.allows(100)
    assert not breaker.allows(100 + COOL_DOWN_S - 0.001)


def test_one_request_at_a_time_may_try() -> None:
    """Asking does not keep it open, and one trial does not let a crowd through."""
    breaker = open_breaker(100)
    for tenth in range(10):
        breaker.allows(100 + tenth / 10)
    later = 100 + COOL_DOWN_S
    assert breaker.allows(later)
    assert not breaker.allows(later)
    assert breaker.allows(later + COOL_DOWN_S)


def test_an_answer_closes_it() -> None:
    """And the count begins anew."""
    breaker = open_breaker(100)
    breaker.succeeded()
    assert breaker.allows(100)
    breaker.failed(100)
    assert breaker.allows(100)


def test_a_failed_trial_cools_down_again() -> None:
    """From the failure, however long the trial took."""
    breaker = open_breaker(100)
    assert breaker.allows(100 + COOL_DOWN_S)
    breaker.failed(100 + COOL_DOWN_S + 1)
    assert not breaker.allows(100 + 2 * COOL_DOWN_S)
    assert breaker.allows(100 + 2 * COOL_DOWN_S + 1)
