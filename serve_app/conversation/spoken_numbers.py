"""Owns how a bare number is said, in any language; the only module that knows num2words.

Numbers carry no commas when spelled: a comma would be taken for a pause, and for a clause.
"""

from __future__ import annotations

from typing import Protocol, cast

import num2words  # pyright: ignore[reportMissingTypeStubs] (it has none)

_MOST_DIGITS = 15
"""A longer number is read digit by digit: nobody follows a quadrillion."""

_MOST_DIGITS_ELSEWHERE = 9
"""The same for languages other than English: several of the library's stop at 10 digits."""


class _Spell(Protocol):
    def __call__(self, number: int, *, lang: str, to: str = "cardinal") -> str: ...


_spell = cast(_Spell, getattr(num2words, "num2words"))  # noqa: B009 (its type is unknown)
# Its Amharic never returns from some numbers (987654321), so a caller's reply would hang.
_LANGUAGES = frozenset(cast(dict[str, object], num2words.CONVERTER_CLASSES)) - {"am"}


def spelling_language(language: str) -> str | None:
    """The library's name for a language tag such as `pt-BR`; None if it cannot spell in it."""
    tag = language.replace("-", "_")
    base, _, region = tag.partition("_")
    for name in (f"{base.lower()}_{region.upper()}", base.lower()):
        if name in _LANGUAGES:
            return name
    return None


def cardinal(digits: str, language: str = "en") -> str:
    """A whole number in words. `digits` is ASCII digits; a leading zero means digit by digit."""
    most = _MOST_DIGITS if language == "en" else _MOST_DIGITS_ELSEWHERE
    if len(digits) > most or (len(digits) > 1 and digits.startswith("0")):
        return digit_by_digit(digits, language)
    return _plain(_spell(int(digits), lang=language))


def digit_by_digit(digits: str, language: str = "en") -> str:
    """Each digit in words; anything else in `digits` is left out."""
    return " ".join(_plain(_spell(int(c), lang=language)) for c in digits if c in "0123456789")


def ordinal(digits: str) -> str:
    """21 → twenty-first, in English."""
    if len(digits) > _MOST_DIGITS:
        return digit_by_digit(digits)
    return _plain(_spell(int(digits), lang="en", to="ordinal"))


def year(digits: str) -> str:
    """1999 → nineteen ninety-nine, in English. Four digits."""
    return _plain(_spell(int(digits), lang="en", to="year"))


def decimal(whole: str, fraction: str) -> str:
    """3, 10 → three point one zero, in English; without a fraction, the whole alone."""
    words = cardinal(whole or "0")
    return f"{words} point {digit_by_digit(fraction)}" if fraction else words


def _plain(words: str) -> str:
    return words.replace(",", "").strip()
