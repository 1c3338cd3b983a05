"""How loaded a replica is, and what it does without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.load import (
    CALM_AFTER_S,
    LEAST_FORECASTS,
    LEAST_SAMPLES,
    SAMPLES,
    WINDOW_S,
    Load,
    LoadLimits,
    Shed,
)

LIMITS = LoadLimits(lag_ms=80, voice_wait_ms=400)


def lagging(
    ms: float, *, of: int = LEAST_SAMPLES, load: Load | None = None, now: float = 0
) -> Load:
    """A load that measured so many wake-ups at `now`, each so late."""
    load = load or Load(LIMITS)
    for _ in range(of):
        load.woke_late(ms, now)
    return load


@pytest.mark.parametrize(
    ("lag_ms", "shed"),
    [
        (0, Shed.NOTHING),
        (19, Shed.NOTHING),
        (20, Shed.SPECULATION),
        (39, Shed.SPECULATION),
        (40, Shed.PARTIALS),
        (60, Shed.JUDGED_PAUSES),
        (79, Shed.JUDGED_PAUSES),
        (80, Shed.NEW_CALLS),
    ],
)
def test_what_is_shed_grows_with_the_lag(lag_ms: float, shed: Shed) -> None:
    """Replies to guesses first, then partials, then the judging of pauses, then new calls."""
    assert lagging(lag_ms).shed(0) == shed


def test_one_late_wake_up_is_no_load() -> None:
    """A start of a thread, a collection of garbage: nineteen others were in time."""
    load = lagging(0, of=19)
    load.woke_late(500, 0)
    assert load.lag_ms(0) == 0
    load.woke_late(500, 0)
    assert load.lag_ms(0) == 500


def test_few_wake_ups_say_nothing() -> None:
    """A replica that has just started takes calls."""
    assert lagging(500, of=LEAST_SAMPLES - 1).shed(0) == Shed.NOTHING


def test_a_voice_that_is_busy_takes_no_new_calls() -> None:
    """Running ones are served in the order of their deadlines."""
    load = Load(LIMITS)
    for at in range(LEAST_FORECASTS):
        assert load.shed(at) == Shed.NOTHING
        load.voice_would_wait(400, at)
    assert load.shed(LEAST_FORECASTS) == Shed.NEW_CALLS


def test_a_voice_in_the_middle_of_a_phrase_is_not_busy() -> None:
    """It had room a second ago, and will have it again."""
    load = Load(LIMITS)
    for at, ms in enumerate([1_500, 500, 0, 1_500, 500]):
        load.voice_would_wait(ms, at)
        assert load.shed(at) == Shed.NOTHING


def test_a_stage_that_refuses_is_full() -> None:
    """For as long as what was measured counts."""
    load = Load(LIMITS)
    load.stage_refused(0)
    assert load.shed(WINDOW_S - 0.1) == Shed.NEW_CALLS


def test_a_forecast_that_is_old_says_nothing() -> None:
    """The voice may be down: then its circuit decides, not this."""
    load = Load(LIMITS)
    for _ in range(LEAST_FORECASTS):
        load.voice_would_wait(5_000, 0)
    assert load.shed(WINDOW_S + 0.1) == Shed.NOTHING


def test_what_is_shed_comes_back_step_by_step() -> None:
    """A load that comes and goes by the second does not switch things on and off."""
    load = lagging(100)
    assert load.shed(0) == Shed.NEW_CALLS
    at = WINDOW_S + 0.01
    steps = [load.shed(at + CALM_AFTER_S * step) for step in range(5)]
    assert steps == [
        Shed.JUDGED_PAUSES,
        Shed.PARTIALS,
        Shed.SPECULATION,
        Shed.NOTHING,
        Shed.NOTHING,
    ]


def test_less_load_for_a_moment_brings_nothing_back() -> None:
    """The calm must last."""
    load = lagging(100)
    load.shed(0)
    assert load.shed(WINDOW_S + 0.01) == Shed.JUDGED_PAUSES
    lagging(100, load=load, now=6)
    assert load.shed(6) == Shed.NEW_CALLS
    assert load.shed(6 + CALM_AFTER_S - 0.1) == Shed.NEW_CALLS


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=3 * SAMPLES))
def test_memory_is_bounded_and_the_lag_is_one_that_was_measured(lags: list[float]) -> None:
    """However long a replica lives."""
    load = Load(LIMITS)
    for number, lag in enumerate(lags):
        load.woke_late(lag, number * 0.001)
    assert load.lag_ms(len(lags) * 0.001) in {0.0, *lags[-SAMPLES:]}
