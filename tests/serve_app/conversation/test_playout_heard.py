"""What of a reply's text was heard: cut at a word, never more than its audio."""

from __future__ import annotations

import pytest

from deployments.contracts import SpokenWord
from serve_app.conversation.playout import Playout, PlayoutPolicy
from tests.player import drive, phrase, silence


@pytest.mark.parametrize(
    ("heard_ms", "text"),
    [
        (0, ""),
        (199, ""),
        (200, "one,"),
        (399, "one,"),
        (400, "one, two"),
        (599, "one, two three."),
        (700, "one, two three."),
        (800, "one, two three. four"),
        (1000, "one, two three. four five"),
    ],
)
def test_heard_text_is_cut_at_a_word(heard_ms: float, text: str) -> None:
    """A word counts once the next has begun, the last one once its phrase is over."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    phrase(playout, "one, two three.")
    phrase(playout, "four five")
    drive(playout, 0.0, 0.0)
    playout.played(heard_ms)
    assert playout.heard(0.0) == text


def test_heard_goes_by_the_words_own_times() -> None:
    """A long word counts when it is over, not when its share of the phrase is."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    playout.begin_phrase("looong a b c")
    marks = (SpokenWord(0, 6, 0), SpokenWord(7, 8, 700), SpokenWord(9, 10, 800))
    playout.push(silence(850, words=marks))
    playout.push(silence(150, words=(SpokenWord(11, 12, 900),)))
    playout.end_phrase()
    drive(playout, 0.0, 0.0)
    for heard_ms, text in [(699, ""), (700, "looong"), (850, "looong a"), (998, "looong a b")]:
        playout.played(heard_ms)
        assert playout.heard(0.0) == text


def test_heard_without_word_times() -> None:
    """Without word times the words share the phrase's time evenly, rounded down."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    phrase(playout, "one two three four", marks=False)
    drive(playout, 0.0, 0.0)
    for heard_ms, text in [(199, ""), (401, "one two"), (798, "one two three")]:
        playout.played(heard_ms)
        assert playout.heard(0.0) == text
    playout.played(800)
    assert playout.heard(0.0) == "one two three four"


def test_unfinished_phrase_is_credited_as_if_slow() -> None:
    """While a phrase may still grow, its words count at 100 ms a letter."""
    playout = Playout(PlayoutPolicy(max_lead_ms=5_000))
    playout.begin_phrase("one two three four")
    playout.push(silence(450))
    drive(playout, 0.0, 0.0)
    playout.played(449)
    assert playout.heard(0.0) == ""
    playout.push(silence(1_000))
    drive(playout, 0.0, 0.0)
    playout.played(1_400)
    assert playout.heard(0.0) == "one two three"


def test_abandoned_phrase_never_counts_whole() -> None:
    """A phrase that broke off counts as far as its own audio goes, however much follows it."""
    playout = Playout(PlayoutPolicy(max_lead_ms=9_000))
    playout.begin_phrase("one two three four")
    playout.push(silence(500))
    phrase(playout, "so sorry", 1_000)
    drive(playout, 0.0, 0.0)
    playout.played(2_500)
    assert playout.heard(0.0) == "one so sorry"


def test_abandoned_phrase_without_audio_is_forgotten() -> None:
    """A phrase that was never spoken is not heard."""
    playout = Playout(PlayoutPolicy(max_lead_ms=9_000))
    phrase(playout, "one")
    playout.begin_phrase("two")
    phrase(playout, "three")
    drive(playout, 0.0, 0.0)
    playout.played(400)
    assert playout.heard(0.0) == "one three"
    assert playout.said_lately() == "one three"
