"""Scenarios: the same call for the same number, and every kind of call before long."""

from __future__ import annotations

from loadtest.scenario import EXCHANGES, LINES, plan_of


def test_a_number_always_means_the_same_call() -> None:
    """Two runs compare."""
    assert [plan_of(n, 8) for n in range(50)] == [plan_of(n, 8) for n in range(50)]


def test_thirty_calls_do_everything() -> None:
    """Every codec, every exchange, both endings, silences; sentences that exist."""
    plans = [plan_of(n, 8) for n in range(30)]
    assert {plan.line for plan in plans} == set(LINES)
    assert {tuple(step.kind for step in plan.steps) for plan in plans} == set(EXCHANGES)
    assert {plan.ending for plan in plans} == {"says goodbye", "hangs up mid-reply"}
    assert all(0 <= step.sentence < 8 for plan in plans for step in plan.steps)


def test_where_no_way_can_be_cut_no_call_loses_its_connection() -> None:
    """The rest of the exchange stays."""
    plan = plan_of(2, 8, may_lose_connection=False)
    assert [step.kind for step in plan.steps] == ["speak", "type"]
