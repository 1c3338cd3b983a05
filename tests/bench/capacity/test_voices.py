"""Voices and recognisers in virtual time, at small sizes."""

from __future__ import annotations

import warnings

import pytest

from bench.capacity import recogniser, voices
from bench.capacity.assumptions import (
    PACES,
    PUBLISHED,
    UNDERRUNS_PER_100,
    VOICE_AGE_MS,
    VOICE_PER_REPLICA,
    WAIT_MS,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Of Ray's own models.
    from serve_app.app import VOICE_SCALING

REPLIES = 400


def test_a_caller_alone_waits_for_nobody() -> None:
    """And the voice is idle for most of the time."""
    alone = voices.heard(1, 1, PUBLISHED, REPLIES)
    assert alone.wait_p95_ms == pytest.approx(0.0, abs=1e-6)
    assert alone.underruns_per_100 == 0
    assert 0 < alone.busy < 0.2


def test_a_voice_with_too_many_calls_is_heard_to_be_full() -> None:
    """By callers and by what the policy is told."""
    few, many = (voices.heard(2, calls, PUBLISHED, REPLIES) for calls in (4, 18))
    assert few.good(WAIT_MS, UNDERRUNS_PER_100)
    assert not many.good(WAIT_MS, UNDERRUNS_PER_100)
    assert many.busy > 0.9 > few.busy
    assert many.ongoing > VOICE_PER_REPLICA > few.ongoing
    assert many.age_ms > 2 * few.age_ms


def test_more_and_faster_voices_carry_more() -> None:
    """Two more than twice what one does; and the answer is the last that is good."""
    one, two, fast = (
        voices.most_calls(count, pace, WAIT_MS, UNDERRUNS_PER_100, REPLIES)
        for count, pace in ((1, PUBLISHED), (2, PUBLISHED), (1, PACES[0.1]))
    )
    assert two > 2 * one > 0
    assert fast > one
    assert voices.heard(2, two, PUBLISHED, REPLIES).good(WAIT_MS, UNDERRUNS_PER_100)
    assert not voices.heard(2, two + 1, PUBLISHED, REPLIES).good(WAIT_MS, UNDERRUNS_PER_100)


@pytest.mark.parametrize("bad", [(0, 1, REPLIES), (1, 0, REPLIES), (1, 1, 10)])
def test_a_pool_of_nothing_is_refused(bad: tuple[int, int, int]) -> None:
    """Voices, calls and replies."""
    count, calls, replies = bad
    with pytest.raises(ValueError, match="above 0"):
        voices.heard(count, calls, PUBLISHED, replies)


def test_the_policy_of_voices_is_the_one_that_runs() -> None:
    """The bench must not import the graph, so the numbers are written twice."""
    assert VOICE_SCALING["policy_kwargs"] == {
        "per_replica": VOICE_PER_REPLICA,
        "max_queue_age_ms": VOICE_AGE_MS,
    }


def test_a_final_waits_for_one_partial_at_most() -> None:
    """With a caller or two there is hardly anything else to wait for."""
    assert recogniser.final_wait_p95_ms(1, 0.06, 600.0, partials=False) == 0
    assert 0 < recogniser.final_wait_p95_ms(2, 0.06, 600.0) <= 60


def test_partials_cost_finals_little_and_calls_more() -> None:
    """They stand back; the recogniser is full of finals in the end."""
    few, many = (recogniser.final_wait_p95_ms(calls, 0.06, 600.0) for calls in (8, 100))
    assert many > 1.5 * few
    most = recogniser.most_calls(0.06, 100.0, partials=True, seconds=600.0)
    assert 8 < most < recogniser.most_calls(0.06, 100.0, partials=False, seconds=600.0)
    assert recogniser.final_wait_p95_ms(most, 0.06, 600.0) <= 100
    assert recogniser.most_calls(5.0, 100.0, partials=True, seconds=600.0) == 0


@pytest.mark.parametrize("bad", [(0, 0.06, 600.0), (1, 0.0, 600.0), (1, 0.06, 1.0)])
def test_a_recogniser_of_nothing_is_refused(bad: tuple[int, float, float]) -> None:
    """Calls, windows and time."""
    with pytest.raises(ValueError, match="above 0"):
        recogniser.final_wait_p95_ms(*bad)
