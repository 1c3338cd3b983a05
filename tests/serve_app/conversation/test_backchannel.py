"""Which words are a listener's nod."""

from __future__ import annotations

import pytest

from serve_app.conversation.backchannel import MOST_WORDS, WORDS, Backchannels, split_words


def nods(text: str, language: str | None = "en-GB") -> bool:
    """Whether that is a backchannel in that language."""
    return Backchannels(WORDS, language).match(split_words(text))


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "mm hmm", "Yeah!", "okay, right", "Uh-huh", "I see.", "yes yes yes"]
)
def test_what_listeners_say(text: str) -> None:
    """However it is written, and more than once."""
    assert nods(text)


@pytest.mark.parametrize(
    "text", ["", "...", "no", "wait", "yeah but", "I", "okay stop", "right now", "see"]
)
def test_what_asks_for_something(text: str) -> None:
    """One other word is enough."""
    assert not nods(text)


def test_more_than_a_few_are_more_than_a_nod() -> None:
    """A bound in words."""
    assert nods("yeah " * MOST_WORDS)
    assert not nods("yeah " * (MOST_WORDS + 1))


def test_each_language_has_its_own() -> None:
    """And a call whose language nobody knows has all."""
    assert nods("d'accord", "fr")
    assert nods("Да", "ru_RU")
    assert not nods("genau", "en")
    assert nods("genau", None)
    assert not nods("yeah", "xx")


def test_no_backchannel_of_any_language_is_a_refusal() -> None:
    """They are mixed where the language is not known: none may mean no in another."""
    assert not any(nods(word, None) for word in ("no", "nein", "non", "não", "nee", "stop", "nie"))


def test_a_phrase_may_be_on_its_way() -> None:
    """A partial transcript may end within one."""
    english = Backchannels(WORDS, "en")
    assert english.begin(["yeah", "of"])
    assert english.begin(["okay"])
    assert not english.begin(["yeah", "the"])
    assert not english.begin([])


def test_the_operators_words_replace_a_languages() -> None:
    """None at all is a choice too."""
    assert Backchannels({"en": ("roger",)}, "en").match(["roger"])
    assert not Backchannels({"en": ()}, "en").match(["yeah"])
