"""Owns which words of a growing hypothesis may be shown, so that partials only ever grow.

Local agreement: a word is shown once two hypotheses in a row have it at the same position.
"""

from __future__ import annotations

import re

from deployments.contracts import Word
from serve_app.conversation.unspaced_scripts import UNSPACED

# A word with the space before it; in a script without spaces each character is a word.
_WORD = re.compile(rf"\s*(?:[{UNSPACED}][^\w\s]*|[^\s{UNSPACED}]+)")


class Agreement:
    """The agreed words of one turn. Not reused: a new turn takes a new one."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._shown_keys: list[str] = []
        self._previous_keys: list[str] = []

    @property
    def text(self) -> str:
        """All that was shown: every `update`'s result, joined."""
        return "".join(self._shown)

    def update(self, hypothesis: str) -> str:
        """The newly agreed text, to append as it is; empty when there is none.

        A hypothesis that contradicts a shown word adds nothing: what was shown stays.
        """
        words = _WORD.findall(hypothesis.strip())
        keys = [_key(word) for word in words]
        agreed = _common_prefix(keys, self._previous_keys)
        self._previous_keys = keys
        shown = len(self._shown)
        if agreed <= shown or keys[:shown] != self._shown_keys:
            return ""
        fresh: list[str] = words[shown:agreed]
        self._shown += fresh
        self._shown_keys += keys[shown:agreed]
        return "".join(fresh)


def end_ms_of(text: str, words: tuple[Word, ...]) -> int:
    """Where the word that ends `text` ends, by letters: some scripts put no space between words.

    0 where the words, which must be those of a transcript that begins with `text`, are too few.
    """
    left = sum(map(str.isalnum, text))
    for word in words if left else ():
        left -= sum(map(str.isalnum, word.text))
        if left <= 0:
            return word.end_ms
    return 0


def _key(word: str) -> str:
    """What of a word must agree: its letters and digits, in no case."""
    folded = word.strip().casefold()
    return "".join(c for c in folded if c.isalnum()) or folded


def _common_prefix(left: list[str], right: list[str]) -> int:
    """How many leading items two lists share."""
    length = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        length += 1
    return length
