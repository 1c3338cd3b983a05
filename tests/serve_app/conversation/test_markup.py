"""What of a stream of Markdown and HTML is text, before any of it is spelled."""

from __future__ import annotations

import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.conversation.markup import MOST_HELD, MarkupStripper
from serve_app.conversation.spoken_text import SpokenText

MARKS = st.lists(
    st.sampled_from([*"*_`~[]()<>&;#|!\\\"'-+>1.x\n ", "```", "](", "<b", "http://", "&amp"]),
    max_size=60,
).map("".join)


def strip(*pieces: str) -> str:
    """All the text of what comes in these pieces."""
    markup = MarkupStripper()
    return "".join(markup.feed(piece) for piece in pieces) + markup.end()


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a\nb", "a b "),
        ("a\n\nb", "a \nb "),
        ("# a\nb", "\na\nb "),
        ("- a\n- b", "\na\n\nb\n"),
        ("- - a", "\na\n"),
        ("- # a", "\na\n"),
        ("> - a", "\na\n"),
        ("12. a", "\n12, a\n"),
        ("123. a", "123. a "),
        ("1.5 a", "1.5 a "),
        ("-5 a", "-5 a "),
        ("#tag", "#tag "),
        ("-\na", " a "),
        ("| a |", "\na |\n"),
        ("* * *\na", "\na\n"),
    ],
)
def test_blocks_end_with_newlines_and_lines_with_spaces(written: str, text: str) -> None:
    """Where a sentence must end, and where it only goes on."""
    assert strip(written).lstrip(" ").rstrip(" ") == text.lstrip(" ").rstrip(" ")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2*3 2 * 3", "2×3 2 × 3 "),
        ("a*b a * b", "ab a  b "),
        ("a_b _a_", "a b a "),
        ("~5 a~b", "~5 ab "),
        ("x! ![y](z)", "x! y "),
        ("a ! b", "a ! b "),
        ("[a](b (c) d", "a (c) d "),
        ("[a](b\nc", "a c "),
        ("[a](b 'c'", "a 'c' "),
        ("[a](b字", "a字 "),
        ("x[12] x[123456] x[^1] [", "x x123456 x  "),
        ("https://a_b.c/*x https://a_b]", "https://a_b.c/x https://a_b "),
        ("&lt;b&gt; &copy; &nope; &", "<b> © &nope; & "),
        ("<b <i>x</i>", "<b x "),
        ("<hr>x<BR/>y", " x y "),
        ("<b>x</b >", "x "),
    ],
)
def test_marks_inside_a_line(written: str, text: str) -> None:
    """Each goes, or stays where it is not a mark."""
    assert strip(written).rstrip() == text.rstrip()


def test_what_looks_like_a_tag_for_too_long_is_text() -> None:
    """It is read again as text, marks and all."""
    assert strip("<a" + " *b*" * MOST_HELD) == "<a" + " b" * MOST_HELD + " "


def test_a_link_title_for_too_long_is_text() -> None:
    """A quote that never closes takes no more than what may be held."""
    text = strip('[a](b "' + "c " * MOST_HELD)
    assert text.count("c ") == MOST_HELD


@given(MARKS)
def test_a_character_at_a_time_is_the_same_as_all_at_once(text: str) -> None:
    """Every hold ends alike."""
    assert strip(*text) == strip(text)


@given(MARKS)
def test_marks_do_not_remain(text: str) -> None:
    """Emphasis, code and links leave none of theirs, but in a bare link or after a backslash."""
    if "http" not in text and "\\" not in text:
        assert not set(strip(text)) & set("*`[_")


@pytest.mark.parametrize(
    "unit", ['[x](y "', "<a b=", "**a", "&x", "http://a ", "$5,", "1 ", "a.", "字"]
)
def test_work_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Counted in function calls: four times the text is about four times the work."""
    calls = [_calls(unit * repeats) for repeats in (300, 1200)]
    assert calls[1] < 5 * calls[0]


def _calls(text: str) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    spoken = SpokenText()
    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        spoken.feed(text)
        spoken.end()
    finally:
        sys.setprofile(previous)
    return count
