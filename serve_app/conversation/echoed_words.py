"""Which words that were heard while the agent spoke are the agent's own.

A recogniser understands an echo badly, so words need only be alike, and some may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator

ALIKE = 0.6
"""Share of the longer word's letters that two words begin and end with alike, misheard."""
MOST_MISHEARD = 0.25
"""Of the words: more that the agent did not say, and somebody else spoke."""
MOST_SKIPPED = 2
"""Words of the agent's that may be missing in a row."""
LONGEST = 30
"""Words. An echo is cut off by the pause it causes, so longer texts are somebody's."""


def is_echo(heard: list[str], said: list[str]) -> bool:
    """Whether the heard words are, about in order, a stretch of what the agent said lately."""
    most = len(heard) * MOST_MISHEARD
    return bool(heard) and any(len(foreign) <= most for foreign in without_echo(heard, said))


def without_echo(heard: list[str], said: list[str]) -> Iterator[list[str]]:
    """The heard words without those that may be an echo, for each word it may begin with."""
    if len(heard) <= LONGEST:
        yield from (_left_over(heard, said, start) for start in range(len(said)))


def _left_over(heard: list[str], said: list[str], start: int) -> list[str]:
    """The heard words that are not found, going on from `start` of what was said."""
    left: list[str] = []
    at = start
    for word in heard:
        near = range(at, min(at + MOST_SKIPPED + 1, len(said)))
        found = next((index for index in near if _alike(word, said[index])), None)
        if found is None:
            left.append(word)
        else:
            at = found + 1
    return left


def _alike(left: str, right: str) -> bool:
    if left == right:
        return True
    shorter, longer = sorted((left, right), key=len)
    head = _same_letters(shorter, longer)
    tail = _same_letters(shorter[head:][::-1], longer[head:][::-1])
    return head + tail >= 3 and head + tail >= ALIKE * len(longer)


def _same_letters(left: str, right: str) -> int:
    """How many letters two words begin with alike; `left` is not the longer one."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
