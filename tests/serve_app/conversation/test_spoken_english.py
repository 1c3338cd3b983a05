"""What English makes of single tokens and of runs of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.conversation.spoken_english import SpokenNumbers, speak_numbers, speak_token

NUMERIC = st.from_regex(r"[+(-]?[$€]?[0-9][0-9().,:/$-]{0,9}", fullmatch=True)


@pytest.mark.parametrize(
    ("run", "before", "after", "spoken"),
    [
        (["5"], "", "km", SpokenNumbers("five kilometers", True)),
        (["1"], "", "km", SpokenNumbers("one kilometer", True)),
        (["-5"], "", "°C", SpokenNumbers("minus five degrees Celsius", True)),
        (["2", "+", "3"], "", "m", SpokenNumbers("two plus three meters", True)),
        (["3-5"], "", "GB", SpokenNumbers("three to five gigabytes", True)),
        (["$2"], "", "billion", SpokenNumbers("two billion dollars", True)),
        (["2"], "", "billion", SpokenNumbers("two")),
        (["5"], "", "May", SpokenNumbers("the fifth of May", True)),
        (["5"], "the", "May", SpokenNumbers("fifth of May", True)),
        (["32"], "", "May", SpokenNumbers("thirty-two")),
        (["5"], "May", "", SpokenNumbers("fifth")),
        (["10:00"], "", "pm", SpokenNumbers("ten")),
        (["2026"], "", "", SpokenNumbers("twenty twenty-six")),
        (["2000"], "", "km", SpokenNumbers("two thousand kilometers", True)),
        (["1000"], "", "", SpokenNumbers("one thousand")),
        (["2026-13-01"], "", "", SpokenNumbers("two zero two six, one three, zero one")),
        (["32/13/2026"], "", "", SpokenNumbers("three two, one three, two zero two six")),
        (["21.11.2026"], "", "", SpokenNumbers("November twenty-first, twenty twenty-six")),
        (["0-11-21"], "", "", SpokenNumbers("zero eleven twenty-one")),
        (["25:70"], "", "", SpokenNumbers("twenty-five to seventy")),
        (["1/0"], "", "", SpokenNumbers("one over zero")),
        (["0/2"], "", "", SpokenNumbers("zero over two")),
        (["3/2"], "", "", SpokenNumbers("three halves")),
        (["$1,000"], "", "", SpokenNumbers("one thousand dollars")),
        (["$0.01"], "", "", SpokenNumbers("one cent")),
        (["£0.01"], "", "", SpokenNumbers("one penny")),
        (["$0"], "", "", SpokenNumbers("zero dollars")),
        (["$1.005"], "", "", SpokenNumbers("one point zero zero five dollars")),
        (["100", "200", "300"], "", "", SpokenNumbers("one hundred two hundred three hundred")),
        (
            ["020", "7946", "0958"],
            "",
            "",
            SpokenNumbers("zero two zero, seven nine four six, zero nine five eight"),
        ),
    ],
)
def test_numbers_between_words(
    run: list[str], before: str, after: str, spoken: SpokenNumbers
) -> None:
    """The word before and the word after decide what a number is."""
    assert speak_numbers(run, before, after) == spoken


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("https://x.y:80/a/b", "x dot y slash a slash b"),
        ("https://x.y/a1b2", "x dot y"),
        ("https://", "https"),
        ("mailto:a@b.c", "a at b dot c"),
        ("mailto:a", "a"),
        ("a+b@c.d", "a plus b at c dot d"),
        ("10am", "ten A M"),
        ("$3M", "three million dollars"),
        ("3M", "three million"),
        ("20s", "twenties"),
        ("50+", "fifty plus"),
        ("≤5%", "at most five percent"),
        ("±3", "plus or minus three"),
        ("3-5km", "three to five kilometers"),
        ("m²", "square meters"),
        ("F#", "F sharp"),
        ("a=b", "a equals b"),
        ("5xyz", "five xyz"),
        ("::", ""),
    ],
)
def test_tokens_of_mixed_characters(token: str, words: str) -> None:
    """Addresses, suffixes and marks; "" where there is nothing to say."""
    assert speak_token(token) == words


@given(
    st.lists(NUMERIC, min_size=1, max_size=4), st.sampled_from(["", "May", "km", "pm", "million"])
)
def test_any_run_of_numbers_is_words(run: list[str], word: str) -> None:
    """None raises or leaves a digit."""
    assert not any(c.isdecimal() for c in speak_numbers(run, word, word).words)


@given(st.text(min_size=1, max_size=20))
def test_any_token_is_taken(token: str) -> None:
    """No token raises."""
    assert isinstance(speak_token(token), str)
