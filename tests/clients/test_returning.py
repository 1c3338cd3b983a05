"""When a client tries to come back, and when it gives up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.returning import STEADY_S, Backoff, Returning, may_return

BACKOFF = Backoff(first_s=0.25, most_s=8.0, give_up_after_s=60.0)


def test_the_waits_grow_up_to_a_bound() -> None:
    """With the worst of luck they are the bounds themselves."""
    returning = Returning(BACKOFF)
    returning.lost(100.0, 600.0)
    at = [returning.next_at(100.0, 1.0) for _ in range(8)]
    assert at == [100.25, 100.5, 101.0, 102.0, 104.0, 108.0, 108.0, 108.0]


def test_chance_spreads_them_down_to_nothing() -> None:
    """Clients that were lost together do not come back together."""
    returning = Returning(BACKOFF)
    returning.lost(100.0, 600.0)
    assert returning.next_at(100.0, 0.0) == 100.0
    assert returning.next_at(100.0, 0.5) == 100.25


def test_the_server_may_ask_for_more() -> None:
    """Its retry-after is waited out, however small the draw."""
    returning = Returning(BACKOFF)
    returning.lost(100.0, 600.0)
    assert returning.next_at(100.0, 0.1, 5.0) == 105.0


@pytest.mark.parametrize(("keep_s", "last"), [(600.0, 160.0), (10.0, 110.0)])
def test_it_gives_up(keep_s: float, last: float) -> None:
    """After the client's own bound, or when the server has forgotten the conversation."""
    returning = Returning(BACKOFF)
    returning.lost(100.0, keep_s)
    assert returning.next_at(last, 0.0) == last
    assert returning.next_at(last + 0.1, 0.0) is None


def test_a_connection_that_breaks_at_once_was_none() -> None:
    """The waits go on to grow, towards the same end; after a steady one they begin anew."""
    returning = Returning(BACKOFF)
    returning.lost(100.0, 600.0)
    returning.next_at(100.0, 1.0)
    returning.back(101.0)
    returning.lost(101.5, 600.0)
    assert returning.next_at(101.5, 1.0) == 102.0
    assert returning.next_at(160.5, 0.0) is None
    returning.back(110.0)
    returning.lost(110.0 + STEADY_S, 600.0)
    assert returning.next_at(115.0, 1.0) == 115.25


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1), st.floats(0, 30))),
    st.floats(1, 100),
)
def test_no_attempt_is_early_or_too_late(
    draws: list[tuple[float, float, float]], keep_s: float
) -> None:
    """Whatever the draws: never before now or the server's wish, never past the end."""
    returning = Returning(BACKOFF)
    returning.lost(0.0, keep_s)
    now = 0.0
    for wait, chance, retry_after_s in draws:
        now += wait
        at = returning.next_at(now, chance, retry_after_s)
        if at is not None:
            assert now + retry_after_s <= at <= min(60.0, keep_s)
            assert at <= now + max(8.0, retry_after_s)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, True) for code in (1005, 1006, 1011, 1012, 1013)),
        *((code, False) for code in (1000, 1001, 1003, 1008, 1009, 4001)),
    ],
)
def test_which_losses_are_come_back_from(code: int, expected: bool) -> None:
    """A fault, a restart, a network that went away; not what ends a call, nor another client's."""
    assert may_return(code) is expected
