"""Words that came back from the loudspeaker."""

from __future__ import annotations

import pytest

from serve_app.conversation.backchannel import split_words
from serve_app.conversation.echoed_words import LONGEST, is_echo, without_echo

SAID = split_words("I can offer you a table at half past seven, or at a quarter to nine.")


@pytest.mark.parametrize(
    "heard",
    [
        "offer you a table",
        "table half past seven",
        "or at quarter to nine",
        "offered you a tables at",
        "offer you a cable at half",
        "seven",
    ],
)
def test_a_stretch_of_the_agents_words(heard: str) -> None:
    """Exact, with words missing, misheard, or one not the agent's among many."""
    assert is_echo(heard.split(), SAID)


@pytest.mark.parametrize(
    "heard", ["no", "stop it", "a quarter past ten please", "table no wait", "nine to seven", ""]
)
def test_somebody_elses_words(heard: str) -> None:
    """Other words, or the agent's in another order."""
    assert not is_echo(heard.split(), SAID)


def test_nothing_was_said() -> None:
    """So nothing is an echo."""
    assert not is_echo(["seven"], [])


def test_what_is_left_without_the_echo() -> None:
    """The caller's words after the agent's."""
    assert ["wait", "please"] in without_echo(["a", "table", "wait", "please"], SAID)


def test_long_texts_are_somebodys() -> None:
    """An echo cannot be that long; looking for one would take long too."""
    assert is_echo(["word"] * LONGEST, ["word"] * 40)
    assert not is_echo(["word"] * (LONGEST + 1), ["word"] * 40)
