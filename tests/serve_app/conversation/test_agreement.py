"""What of a growing hypothesis is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import Word
from serve_app.conversation.agreement import Agreement, end_ms_of

HYPOTHESES = st.lists(
    st.lists(
        st.sampled_from(["the", "The", "cat,", "cat", "sat", "你", "好", "-"]), max_size=6
    ).map(" ".join)
    | st.text(max_size=12),
    max_size=8,
)


def shown(*hypotheses: str) -> list[str]:
    """What each hypothesis adds, in turn."""
    agreement = Agreement()
    return [agreement.update(hypothesis) for hypothesis in hypotheses]


def test_one_hypothesis_shows_nothing() -> None:
    """A word needs a second opinion."""
    assert shown("hello there") == [""]


def test_words_that_two_hypotheses_share_are_shown_once() -> None:
    """The common beginning is appended with its own leading spaces, and never again."""
    assert shown("hello", "hello there", "hello there you", "hello there you") == [
        "",
        "hello",
        " there",
        " you",
    ]


def test_case_and_punctuation_do_not_matter_and_the_latest_text_is_shown() -> None:
    """Hypotheses differ in these from one window to the next."""
    assert shown("hello world", "Hello, World") == ["", "Hello, World"]


def test_a_contradiction_of_shown_words_adds_nothing_until_it_agrees_again() -> None:
    """What the caller has seen is not changed, and nothing is appended to a wrong beginning."""
    assert shown("a b c", "a b c", "x b c d", "x b c d", "a b c d", "a b c d e") == [
        "",
        "a b c",
        "",
        "",
        "",
        " d",
    ]


def test_a_shorter_hypothesis_adds_nothing() -> None:
    """A window that lost words takes none back."""
    assert shown("a b c", "a b c", "a", "a") == ["", "a b c", "", ""]


def test_only_consecutive_hypotheses_count() -> None:
    """An opinion from before the last one is forgotten."""
    assert shown("a b", "a c", "a b") == ["", "a", ""]


def test_a_script_without_spaces_agrees_by_character() -> None:
    """Chinese would else show nothing until its last character is agreed; no space is made up."""
    assert shown("你好", "你好，世", "你好，世界") == ["", "你好，", "世"]


def test_words_that_are_all_punctuation_are_compared_as_they_are() -> None:
    """A dash and a question mark are not the same word."""
    assert shown("- yes", "? yes") == ["", ""]


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_hypothesis_is_no_words(empty: str) -> None:
    """Silence adds nothing, and forgets the opinion before it."""
    assert shown("a", empty, "a", "a") == ["", "", "", "a"]


@given(HYPOTHESES)
def test_what_is_shown_only_grows(hypotheses: list[str]) -> None:
    """The text is all that updates returned, each time it begins with what it was before."""
    agreement = Agreement()
    before = ""
    for hypothesis in hypotheses:
        before += agreement.update(hypothesis)
        assert agreement.text == before


@given(st.lists(st.sampled_from(["one", "two", "three", "四"]), min_size=1, max_size=9))
def test_a_hypothesis_said_twice_is_shown_whole(words: list[str]) -> None:
    """Agreement loses nothing and invents no space."""
    text = " ".join(words)
    assert "".join(shown(text, text)) == text


@given(HYPOTHESES)
def test_partials_never_begin_with_a_space(hypotheses: list[str]) -> None:
    """Spaces are between words only."""
    assert "".join(shown(*hypotheses)) == "".join(shown(*hypotheses)).strip()


@pytest.mark.parametrize(
    ("text", "end_ms"),
    [("", 0), ("Hello", 400), ("hello, the", 600), ("hello there", 900), ("hello there you", 0)],
)
def test_where_an_agreed_text_ends(text: str, end_ms: int) -> None:
    """At the word that holds its last letter; 0 where there is none."""
    words = (Word("hello", 0, 400), Word("the", 400, 600), Word("re", 600, 900))
    assert end_ms_of(text, words) == end_ms
