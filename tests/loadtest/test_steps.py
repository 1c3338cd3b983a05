"""A ramp goes up until a step does not hold."""

from __future__ import annotations

from loadtest.steps import Staircase


def climb(holds: list[bool], most: int) -> tuple[list[int | None], list[int]]:
    """What is asked of locust every 5 s, and which steps were begun; steps of 4 calls, 10 s."""
    answers, began = iter(holds), list[int]()
    stairs = Staircase(4, 10.0, most, began.append, lambda: next(answers))
    asked: list[int | None] = []
    for at in range(0, 100, 5):
        asked.append(stairs.calls_at(at))
        if asked[-1] is None:
            break
    return asked, began


def test_it_ends_with_the_first_step_that_does_not_hold() -> None:
    """Asked once a step, when it is over."""
    assert climb([True, False], 100) == ([4, 4, 8, 8, None], [4, 8])


def test_it_ends_at_the_most_calls() -> None:
    """Though all held."""
    assert climb([True, True, True], 10) == ([4, 4, 8, 8, 10, 10, None], [4, 8, 10])
    assert climb([True], 2) == ([2, 2, None], [2])
