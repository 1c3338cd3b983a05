"""Owns where a stream of speakable text is cut into phrases; knows nothing of markup or voices.

The first phrase is short, so that a voice can begin early; later ones are long, so that it
sounds well. No cut waits for text to come: a sentence that ends where the text so far ends is
complete. A phrase always has something to say: punctuation alone joins the phrase after it, and
is dropped where none comes, or where it alone is longer than a phrase may be.
"""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.conversation.unspaced_scripts import is_unspaced

_SENTENCE_ENDS = frozenset(".!?…。！？")
_CLAUSE_ENDS = frozenset(",;:—–，、；：")
_UNSPACED_ENDS = frozenset("。！？，、；：")
_CLOSERS = frozenset("\"')]}”’»」』）")
# Whatever takes a dot without ending a sentence, and may have been left in the text.
_ABBREVIATIONS = frozenset(("dr", "mr", "mrs", "ms", "prof", "st", "vs", "jr", "sr"))


@dataclass(frozen=True, slots=True)
class PhrasePolicy:
    """How long phrases are. Two characters of a script without spaces count as one word.

    The first phrase ends at the first clause of `first_min_words` words, at the first sentence,
    or after `first_max_words` words. A later one ends with a sentence once it has
    `later_min_chars`; none has more than `later_max_chars`, the first included.
    """

    first_min_words: int = 3
    first_max_words: int = 12
    later_min_chars: int = 60
    later_max_chars: int = 250


class PhraseCutter:
    """Cuts one reply. The phrases hold its text in order, whitespace at the cuts aside."""

    def __init__(self, policy: PhrasePolicy = PhrasePolicy()) -> None:
        self._policy = policy
        self._text = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """The phrases that `text` completes."""
        self._text += text
        phrases: list[str] = []
        start = 0
        while (cut := self._cut(start)) is not None:
            self._take(self._text[start:cut], phrases)
            start = cut
        self._text = self._text[start:].lstrip()
        return phrases

    def end(self) -> list[str]:
        """The rest, as the last phrase; nothing if it has no letter or digit."""
        phrases: list[str] = []
        self._take(self._text, phrases)
        self._text = ""
        return phrases

    def _take(self, text: str, phrases: list[str]) -> None:
        """Add what was cut to `phrases`, if there is anything to say in it."""
        if _speakable(text):
            phrases.append(text.strip())
            self._first = False

    def _cut(self, start: int) -> int | None:
        """Where the phrase that begins at `start` ends; None while it may still grow."""
        text, policy = self._text, self._policy
        while start < len(text) and text[start].isspace():
            start += 1
        words = 0.0
        boundary = space = start
        for at in range(start, min(len(text), start + policy.later_max_chars)):
            character = text[at]
            words += _word_weight(text, at, start)
            if self._first and words >= policy.first_max_words and _word_ends(text, at):
                return at + (not character.isspace())
            if character.isspace():
                space = at
            elif end := _boundary(text, at):
                if end - start > policy.later_max_chars:
                    end = at + 1
                sentence = character in _SENTENCE_ENDS
                if self._complete(text[start:end], words, sentence):
                    return end
                boundary = end
        if len(text) - start <= policy.later_max_chars:
            return None
        # Too long: at the last clause if that is not too early, else at a word, else anywhere.
        early = boundary - start < policy.later_max_chars // 4
        for end in (start if early else boundary, space):
            if _speakable(text[start:end]):
                return end
        return start + policy.later_max_chars

    def _complete(self, phrase: str, words: float, sentence: bool) -> bool:
        """Whether a phrase that ends at a boundary is worth cutting there."""
        if not _speakable(phrase):
            return False
        if self._first:
            return sentence or words >= self._policy.first_min_words
        return sentence and len(phrase) >= self._policy.later_min_chars


def shortened(phrase: str, max_chars: int) -> list[str]:
    """A phrase in pieces of at most `max_chars`, cut at sentences, else clauses, else words."""
    words = len(phrase)  # As many as it can have: characters alone decide.
    policy = PhrasePolicy(words, words, later_min_chars=1, later_max_chars=max_chars)
    cutter = PhraseCutter(policy)
    return [*cutter.feed(phrase), *cutter.end()]


def _speakable(text: str) -> bool:
    """Whether there is anything to say."""
    return any(c.isalnum() for c in text)


def _word_weight(text: str, at: int, start: int) -> float:
    """What the character at `at` adds to the count of words begun."""
    character = text[at]
    if is_unspaced(character):
        return 0.5
    begins = character.isalnum() and (at == start or text[at - 1].isspace())
    return 1.0 if begins else 0.0


def _word_ends(text: str, at: int) -> bool:
    """Whether a word surely ends at `at`: a space, or a character that is a word, then another."""
    if text[at].isspace():
        return True
    following = text[at + 1 : at + 2]
    return is_unspaced(text[at]) and following != "" and is_unspaced(following)


def _boundary(text: str, at: int) -> int:
    """Where a sentence or clause that ends at `at` is over, closing quotes included; 0 if none."""
    character = text[at]
    following = text[at + 1 : at + 2]
    if character == "-":  # a dash only between spaces
        return at + 1 if text[at - 1 : at].isspace() and following.isspace() else 0
    if character not in _SENTENCE_ENDS and character not in _CLAUSE_ENDS:
        return 0
    if character in ".,:" and text[at - 1 : at].isdigit() and not following:
        return 0  # a decimal, a thousand, a time: the next character tells
    if character == "." and _abbreviates(text, at):
        return 0
    end = at + 1
    while end < len(text) and (text[end] in _CLOSERS or text[end] in _SENTENCE_ENDS):
        end += 1
    apart = end == len(text) or text[end].isspace() or is_unspaced(text[end])
    return end if apart or character in "—–" or character in _UNSPACED_ENDS else 0


def _abbreviates(text: str, at: int) -> bool:
    """Whether the dot at `at` belongs to an initial or an abbreviation."""
    begin = at
    # The longest abbreviation bounds the walk: one dot must not cost a whole text.
    while begin > 0 and at - begin <= 5 and text[begin - 1].isalpha():
        begin -= 1
    word = text[begin:at]
    return (len(word) == 1 and word.isupper()) or word.lower() in _ABBREVIATIONS
