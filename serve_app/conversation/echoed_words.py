"""Whether words that were heard while the agent spoke are the agent's own.

A recogniser understands an echo badly, so words need only be alike, and some may be missing.
"""

from __future__ import annotations

from serve_app.conversation.backchannel import split_words

ALIKE = 0.6
"""Share of the longer word's letters that two words begin and end with alike, misheard."""
MOST_MISHEARD = 0.25
"""Of the words: more that the agent did not say, and somebody else spoke."""
MOST_SKIPPED = 2
"""Words of the agent's that may be missing in a row."""
LONGEST = 30
"""Words. An echo is cut off by the pause it causes, so longer texts are somebody's."""


def is_echo(text: str, spoken: str) -> bool:
    """Whether `text` is, about in order, a stretch of what the agent has `spoken` lately."""
    heard, said = split_words(text), split_words(spoken)
    if not heard or not said or len(heard) > LONGEST:
        return False
    needed = len(heard) - int(len(heard) * MOST_MISHEARD)
    return any(_followed(heard, said, start) >= needed for start in range(len(said)))


def _followed(heard: list[str], said: list[str], start: int) -> int:
    """How many of the heard words are found, going on from `start` of what was said."""
    found, at = 0, start
    for word in heard:
        for ahead in range(at, min(at + MOST_SKIPPED + 1, len(said))):
            if _alike(word, said[ahead]):
                found, at = found + 1, ahead + 1
                break
    return found


def _alike(left: str, right: str) -> bool:
    if left == right:
        return True
    shorter, longer = sorted((left, right), key=len)
    head = _same_letters(shorter, longer)
    tail = _same_letters(shorter[head:][::-1], longer[head:][::-1])
    return head + tail >= 3 and head + tail >= ALIKE * len(longer)


def _same_letters(left: str, right: str) -> int:
    """How many letters two words begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
