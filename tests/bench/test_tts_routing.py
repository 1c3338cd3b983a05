"""The simulation of two voices: what a better choice of voice is worth."""

from __future__ import annotations

import statistics

import pytest

from bench.tts_routing import CALLS, ROUTINGS, RoutedSimulation, Routing, table

FEWEST, KNOWN, TOLD, ONE_INGRESS, TWO_INGRESSES = ROUTINGS
SECONDS = 1_800.0


def first_audio_s(routing: Routing, calls: int) -> float:
    """The mean of one run."""
    return statistics.fmean(RoutedSimulation(routing, calls).run(SECONDS).first_audio_s)


@pytest.mark.parametrize("calls", [6, 8, 10])
def test_the_soonest_voice_brings_first_audio_sooner(calls: int) -> None:
    """Than the one with the fewest phrases; and what one ingress knows is nearly all there is."""
    fewest, best = first_audio_s(FEWEST, calls), first_audio_s(KNOWN, calls)
    assert best < 0.9 * fewest
    assert first_audio_s(ONE_INGRESS, calls) < best + 0.2 * (fewest - best)
    assert first_audio_s(TWO_INGRESSES, calls) < fewest


@pytest.mark.parametrize("calls", [4, 6, 8])
def test_old_news_are_worth_nothing(calls: int) -> None:
    """Told by the controller four times a second, one might as well count."""
    assert first_audio_s(TOLD, calls) > 0.95 * first_audio_s(FEWEST, calls)


def test_the_table_has_a_row_for_all_that_was_compared() -> None:
    """Calls by routings, under a head."""
    rows = list(table(100.0))
    assert len(rows) == 2 + len(CALLS) * len(ROUTINGS)
    assert {row.count("|") for row in rows} == {6}
