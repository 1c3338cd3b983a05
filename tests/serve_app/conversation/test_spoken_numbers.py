"""How a bare number is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.conversation.spoken_numbers import (
    cardinal,
    decimal,
    digit_by_digit,
    ordinal,
    spelling_language,
    year,
)

LANGUAGES = [
    "ar",
    "cs",
    "da",
    "de",
    "en",
    "es",
    "fi",
    "fr",
    "hi",
    "id",
    "it",
    "ja",
    "ko",
    "nl",
    "no",
]
LANGUAGES += ["pl", "pt", "pt-BR", "ro", "ru", "sv", "th", "tr", "uk", "vi"]


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("en", "en"),
        ("en-US", "en"),
        ("EN-in", "en_IN"),
        ("pt_BR", "pt_BR"),
        ("pt-PT", "pt"),
        ("zh", None),
        ("am", None),
        ("", None),
        ("x-y-z", None),
    ],
)
def test_a_language_tag_is_matched_with_its_region_or_without(tag: str, name: str | None) -> None:
    """None where numbers cannot be spelled, or not surely in finite time."""
    assert spelling_language(tag) == name


def test_long_numbers_and_those_with_a_leading_zero_are_read_by_digit() -> None:
    """They are codes, or beyond what a listener follows."""
    assert cardinal("007") == "zero zero seven"
    assert cardinal("9" * 16) == " ".join(["nine"] * 16)
    assert cardinal("1" * 10, "de") == " ".join(["eins"] * 10)
    assert ordinal("1" * 16) == " ".join(["one"] * 16)


def test_spelled_numbers_have_no_commas() -> None:
    """A comma would be taken for a pause."""
    assert cardinal("1234567").startswith("one million two hundred and thirty-four thousand")


def test_decimals_are_read_by_digit_after_the_point() -> None:
    """Trailing zeros were written for a reason."""
    assert decimal("3", "10") == "three point one zero"
    assert decimal("", "5") == "zero point five"
    assert decimal("3", "") == "three"


def test_years_and_ordinals() -> None:
    """As English says them."""
    assert [year("1905"), year("2026")] == ["nineteen oh-five", "twenty twenty-six"]
    assert [ordinal("1"), ordinal("21")] == ["first", "twenty-first"]


def test_digit_by_digit_skips_what_is_no_digit() -> None:
    """Separators are for the eye."""
    assert digit_by_digit("1-2 3") == "one two three"


@given(st.sampled_from(LANGUAGES), st.integers(0, 10**9 - 1))
def test_any_whole_number_is_spelled_in_the_common_languages(language: str, number: int) -> None:
    """None raises, none leaves a digit."""
    name = spelling_language(language)
    if name is not None:
        words = cardinal(str(number), name)
        assert words
        assert not any(c.isdecimal() for c in words)
