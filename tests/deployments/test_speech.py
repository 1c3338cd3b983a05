"""What recognisers share, without a recogniser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import BadInput, SpeechWindow
from deployments.language_tags import primary_language
from deployments.speech import Guards, Guess, language_of, samples, wants_words, words_in_order

times = st.floats(-1.0, 40.0)
guesses = st.lists(st.builds(Guess, st.sampled_from(["so", " it ", "is", ""]), times, times))


@given(guesses, st.floats(0.5, 30.0))
def test_words_are_in_order_and_within_the_audio(said: list[Guess], seconds: float) -> None:
    """Whatever a model says of them; none is lost that has a text."""
    words = words_in_order(said, seconds)
    assert [word.text for word in words] == [g.text.strip() for g in said if g.text.strip()]
    ends = [0, *(word.end_ms for word in words)]
    for word, end in zip(words, ends, strict=False):
        assert end <= word.start_ms < word.end_ms <= seconds * 1000 + 21


def test_times_that_are_right_stay() -> None:
    """In order and within the audio."""
    said = [Guess(" good", 0.1, 0.42, 0.5), Guess(" day.", 0.42, 0.9, 1.00001)]
    first, second = words_in_order(said, 1.0)
    assert (first.text, first.start_ms, first.end_ms, first.confidence) == ("good", 100, 420, 0.5)
    assert (second.start_ms, second.end_ms, second.confidence) == (420, 900, 1.0)


def test_samples_are_scaled() -> None:
    """Full scale is just under 1; half a sample is the caller's mistake."""
    heard = samples(np.array([-32768, 0, 16384], np.int16).tobytes())
    assert heard.tolist() == [-1.0, 0.0, 0.5]
    with pytest.raises(BadInput):
        samples(b"\x00\x01\x02")


@pytest.mark.parametrize(
    ("seconds", "final", "expected"), [(0.5, True, True), (5.9, False, False), (6.0, False, True)]
)
def test_who_wants_word_times(seconds: float, final: bool, expected: bool) -> None:
    """Finals, and partials so long that the next should start at a word."""
    assert wants_words(SpeechWindow(bytes(int(seconds * 32_000)), final)) is expected


@pytest.mark.parametrize("tag", ["en", "en-US", "EN_gb"])
def test_the_language_of_a_tag(tag: str) -> None:
    """Its region does not matter."""
    assert primary_language(tag) == "en"


@pytest.mark.parametrize(
    ("log_prob", "no_speech", "repetition", "expected"),
    [
        (-0.3, 0.1, 1.2, True),
        (-0.3, 0.9, 1.2, True),  # sure of its words
        (-1.5, 0.1, 1.2, True),  # mumbled, but speech
        (-1.5, 0.9, 1.2, False),
        (-0.3, 0.1, 2.5, False),
    ],
)
def test_what_is_believed(
    log_prob: float, no_speech: float, repetition: float, expected: bool
) -> None:
    """Speech is; silence with words that the model doubts, and a decoder in a loop, are not."""
    assert Guards(0.6, -1.0, 2.4).believe(log_prob, no_speech, repetition) is expected


def test_a_window_is_heard_in_its_language() -> None:
    """Its own; else the usual one; else the only one; else the model finds out."""
    both = ("en", "de")
    assert language_of(SpeechWindow(b"", True, "de-AT"), "en", both, "m") == "de"
    assert language_of(SpeechWindow(b"", True), "de", both, "m") == "de"
    assert language_of(SpeechWindow(b"", True), None, ("en",), "m") == "en"
    assert language_of(SpeechWindow(b"", True), None, both, "m") is None
    with pytest.raises(BadInput, match="'m' does not know 'fr'"):
        language_of(SpeechWindow(b"", True, "fr"), "en", both, "m")
