"""How long a pause must be to end a turn: by how it sounds, if that was judged, and by its words.

Who dictates a number or spells a name stops between the groups, and each group sounds complete:
after digits and letters the agent waits for more. Number words and the names of letters are
known in English; other languages get the same by the digits that recognisers write.
"""

from __future__ import annotations

import re

from serve_app.conversation.policy import TurnPolicy

COMPLETE = 0.5
"""A turn that is more likely complete than this is taken for it."""

_SEPARATORS = re.compile(r"[\s\-‐-―.,;:!?…。、，！？]+")
_NUMBER_WORDS = frozenset((
    "zero", "nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy",
    "eighty", "ninety", "hundred", "thousand", "million", "double", "triple",
))  # fmt: skip
_BETWEEN = frozenset(("point", "dot", "dash", "hyphen", "slash", "underscore"))
"""Words that join what is dictated: more must come."""
_LETTER_NAMES = frozenset(("aitch", "cee", "dee", "ess", "tee", "vee", "zed", "zee"))
_WORDS_OF_ONE_LETTER = frozenset("aio")
_BEFORE_PRONOUN = frozenset((
    "a", "an", "the", "this", "that", "which", "no", "any", "some", "every", "each", "another",
    "other", "first", "last", "next", "good", "bad", "new", "old", "right", "wrong", "only", "same",
))  # fmt: skip
"""What makes `one` no number: this one, the right one."""
_ABBREVIATIONS = frozenset((("a", "m"), ("p", "m"), ("u", "s"), ("u", "k")))


def pause_needed_ms(
    policy: TurnPolicy, endpoint_ms: int, words: str, *, settled: bool, probability: float | None
) -> int:
    """The pause that ends a turn, never shorter than `endpoint_ms`.

    `words`: the latest hypothesis; `settled`: it is of all that was said. `probability`: that
    the turn sounds complete; None while, or where, nobody can tell.
    """
    if settled and not words:
        return endpoint_ms
    if not policy.judged_pauses:
        needed_ms = endpoint_ms
    elif probability is None or not settled:
        needed_ms = policy.unjudged_pause_ms
    elif probability > COMPLETE:
        needed_ms = endpoint_ms
    else:
        needed_ms = policy.max_pause_ms
    if ends_dictated(words):
        needed_ms = max(needed_ms, policy.spelling_pause_ms)
    return max(needed_ms, endpoint_ms)


def ends_dictated(text: str) -> bool:
    """Whether the text ends in a number, a spelled letter, or a word between two of them."""
    tokens = [token for token in _SEPARATORS.split(text.casefold()) if token]
    if not tokens:
        return False
    last, before = tokens[-1], tokens[-2] if len(tokens) > 1 else ""
    if last == "one":
        return before not in _BEFORE_PRONOUN
    if last in ("u", "you") and before == "double":
        return True
    if (before, last) in _ABBREVIATIONS and not _is_letter(tokens[-3:-2]):
        return False
    if last in _WORDS_OF_ONE_LETTER or last == "oh":
        return before in _WORDS_OF_ONE_LETTER or _is_dictated(before)
    return _is_dictated(last)


def _is_dictated(token: str) -> bool:
    if token[-1:].isdigit() or token in _NUMBER_WORDS or token in _BETWEEN:
        return True
    return token in _LETTER_NAMES or _is_letter([token])


def _is_letter(tokens: list[str]) -> bool:
    """One letter of an alphabet, alone; other scripts write words in one character."""
    return any(len(token) == 1 and token.isalpha() and token.isascii() for token in tokens)
