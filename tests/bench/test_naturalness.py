"""A few of the scenes of bench/naturalness.py: what it promises holds on every change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.naturalness import BARGE_INS, NODS, Voices, echoes, measure, over
from bench.room import Scene


@pytest.fixture(scope="module")
def voices() -> Voices:
    """Both voices."""
    return Voices()


@pytest.fixture(scope="module")
def echo(voices: Voices) -> list[Scene]:
    """Six delays of the echo, from 50 to 300 ms."""
    return echoes(voices, 6)


def test_an_echo_interrupts_nobody(echo: list[Scene]) -> None:
    """The agent does not even pause; without the guard he would each time."""
    figures = measure(echo)
    assert (figures.flushed, figures.cancelled, figures.answered) == (0, 0, 0)
    assert measure([replace(echo[0], guard=False)]).flushed == 1


def test_a_caller_over_the_echo_interrupts(voices: Voices, echo: list[Scene]) -> None:
    """Each one is heard, and answered."""
    figures = measure(over(voices, echo[:4], BARGE_INS))
    assert (figures.cancelled, figures.answered) == (4, 4)


def test_a_backchannel_cancels_nothing(voices: Voices, echo: list[Scene]) -> None:
    """Over the echo or without it."""
    nods = over(voices, echo[:4], NODS)
    assert measure(nods).cancelled == 0
    assert measure([replace(scene, echo_db=-100.0) for scene in nods]).cancelled == 0
