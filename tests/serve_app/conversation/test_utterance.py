"""How words, numbers and stops become a line of speech."""

from __future__ import annotations

from serve_app.conversation.utterance import MOST_HELD, Utterance, is_numeric, keep_sayable


def english() -> Utterance:
    """An utterance to which nothing is glued."""
    return Utterance("en-GB")


def say(utterance: Utterance, *words: str) -> None:
    """Say words that white space parts."""
    for word in words:
        utterance.glued = False
        utterance.word(word)


def test_words_are_parted_by_single_spaces_and_glued_ones_by_none() -> None:
    """There is none before the first."""
    utterance = english()
    say(utterance, "a", "b")
    utterance.word("c")
    assert utterance.take(joined=False) == "a bc"


def test_a_joined_word_is_held_back_until_it_is_whole() -> None:
    """With all that it is joined to, and the space before."""
    utterance = english()
    say(utterance, "go", "example")
    utterance.stop(".")
    assert utterance.take(joined=True) == "go"
    utterance.word("com")
    assert utterance.take(joined=False) == " example.com"


def test_no_more_than_the_most_is_held_back() -> None:
    """A chain of dots gives itself out in the end."""
    utterance = english()
    utterance.word("x" * (MOST_HELD + 1))
    assert utterance.take(joined=True) == "x" * (MOST_HELD + 1)


def test_a_second_stop_and_one_after_nothing_are_dropped() -> None:
    """A voice pauses once."""
    utterance = english()
    utterance.stop(".")
    say(utterance, "a")
    utterance.stop("?")
    utterance.stop("!")
    assert utterance.take(joined=False) == "a?"


def test_a_pause_is_a_comma_before_the_next_word_only() -> None:
    """A stop takes its place; at the end there is none."""
    utterance = english()
    utterance.pause()
    say(utterance, "a")
    utterance.pause()
    assert utterance.take(joined=False) == "a"
    say(utterance, "b")
    utterance.pause()
    utterance.stop(".")
    say(utterance, "c")
    utterance.pause()
    utterance.end()
    assert utterance.take(joined=False) == ", b. c"


def test_a_dot_that_may_end_a_sentence_waits_for_a_capital_or_the_end() -> None:
    """And goes before any other word."""
    utterance = english()
    for following in ("And", "and"):
        say(utterance, "etc")
        utterance.maybe_stop(ends=True)
        say(utterance, following)
    utterance.maybe_stop(ends=True)
    utterance.end()
    assert utterance.take(joined=False) == "etc. And etc and."


def test_numbers_wait_for_their_unit() -> None:
    """Which is then said with them, once."""
    utterance = english()
    assert utterance.add_number("5")
    assert utterance.take(joined=False) == ""
    assert utterance.takes_unit("km")
    assert not utterance.takes_unit("apples")
    say(utterance, "km", "away")
    assert utterance.take(joined=False) == "five kilometers away"


def test_operators_are_numbers_only_after_one() -> None:
    """A dash that no number follows is a pause."""
    utterance = english()
    assert not utterance.add_number("-")
    assert utterance.add_number("5")
    utterance.glued = False
    assert utterance.add_number("-")
    say(utterance, "no")
    assert utterance.take(joined=False) == "five, no"


def test_numbers_do_not_wait_for_ever() -> None:
    """A long list of them is said as it comes."""
    utterance = english()
    for _ in range(MOST_HELD):
        utterance.glued = False
        utterance.add_number("10")
    assert utterance.take(joined=False).startswith("ten ten")


def test_only_a_number_with_a_plus_awaits_a_telephone_number() -> None:
    """Its next group may stand in brackets."""
    utterance = english()
    assert not utterance.awaits_telephone()
    utterance.add_number("5")
    assert not utterance.awaits_telephone()
    utterance.add_number("+1")
    assert utterance.awaits_telephone()


def test_other_languages_say_their_numbers_one_by_one() -> None:
    """Whole ones in words, the rest as written; units are the voice's."""
    utterance = Utterance("de")
    for token in ("2", "3,5", "-1"):
        utterance.glued = False
        utterance.add_number(token)
    say(utterance, "km")
    assert utterance.take(joined=False) == "zwei 3,5 -1 km"


def test_markup_is_never_said() -> None:
    """Whatever got so far."""
    utterance = english()
    say(utterance, "*", "a**b")
    assert utterance.take(joined=False) == "ab"


def test_numeric_tokens() -> None:
    """Digits, what stands in and around them, and nothing else."""
    assert all(map(is_numeric, ("5", "-5", "(555)", "$5.50", "1/2", "10:30", "2026-11-21")))
    assert not any(map(is_numeric, ("", "-", "5km", "a5", "5%", "²")))


def test_what_another_voice_can_say_is_kept() -> None:
    """Letters of any script, numbers and common symbols; not marks, nor a link's scheme."""
    assert keep_sayable("https://a.fr/*b*") == "a.fr/b"
    assert keep_sayable("5%_é字") == "5%é字"
