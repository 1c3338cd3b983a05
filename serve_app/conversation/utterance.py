"""Owns how words, numbers and stops become one line of speech: spaces, pauses, what must wait.

Numbers wait for the word after them, which may be their unit. A stop that may not be one waits
for a capital letter. Nothing here reads characters: tokens come from `SpokenText`.
"""

from __future__ import annotations

import unicodedata

from serve_app.conversation.spoken_english import speak_numbers
from serve_app.conversation.spoken_numbers import cardinal, spelling_language

MOST_HELD = 120
"""Longer tokens, numbers or words joined by dots do not wait; in characters."""

_NEVER_SAID = str.maketrans("", "", "*`_#~|<>[]{}\\^")
_OPERATORS = frozenset(("+", "-", "×", "÷", "/", "="))


class Utterance:
    """The speech of one reply. `glued` says that no white space stood before what comes next."""

    def __init__(self, language: str) -> None:
        self.glued = False
        self.english = language.lower().split("-")[0] == "en"
        self._spelling = spelling_language(language)
        self._numbers: list[str] = []
        self._numbers_glued = False
        self._mark = ""  # a stop to put before the next word, unless another comes
        self._before = ""  # the last word, as it was written
        self._last = ""  # the last character
        self._ready: list[str] = []
        self._joined_from = 0  # where in `_ready` the last run without white space begins

    def take(self, *, joined: bool) -> str:
        """What is ready. `joined` holds back the last word: more is being joined to it."""
        held = self._ready[self._joined_from :] if joined else []
        if sum(map(len, held)) > MOST_HELD:
            held = []
        ready = "".join(self._ready[: len(self._ready) - len(held)])
        self._ready, self._joined_from = held, 0
        return ready

    def end(self) -> None:
        """Nothing follows: settle what waited."""
        self.end_numbers()
        if self._mark == ".":
            self.stop(".")

    def add_number(self, token: str) -> bool:
        """Let a numeric token, or an operator after one, wait; False if it is neither."""
        if not is_numeric(token) and not (token in _OPERATORS and self._numbers):
            return False
        if sum(map(len, self._numbers)) + len(token) > MOST_HELD:
            self.end_numbers()
        if not self._numbers:
            self._numbers_glued = self.glued
        self._numbers.append(token)
        self.glued = True
        return True

    def takes_unit(self, token: str) -> bool:
        """Whether the numbers that wait are said together with this token."""
        return bool(self._numbers) and speak_numbers(self._numbers, self._before, token).took_next

    def awaits_telephone(self) -> bool:
        """Whether the numbers that wait are the beginning of a telephone number."""
        return bool(self._numbers) and self._numbers[-1].startswith("+")

    def end_numbers(self, following: str = "") -> bool:
        """Say the numbers that wait; whether `following` was said with them."""
        run, self._numbers = self._numbers, []
        if not run:
            return False
        glued, self.glued = self.glued, self._numbers_glued
        took = self._say_numbers(run, following)
        self.glued = glued
        return took

    def _say_numbers(self, run: list[str], following: str) -> bool:
        if not self.english:
            for token in run:
                self._put(self._spell(token), token)
                self.glued = False
            return False
        dash = run[-1] == "-"
        if dash:
            run.pop()
            following = ""
        spoken = speak_numbers(run, self._before, following)
        self._put(spoken.words, run[-1])
        if dash:
            self.pause()
        return spoken.took_next

    def _spell(self, token: str) -> str:
        """A number in another language: whole ones in words, the rest as the voice does them."""
        if self._spelling is None or not token.isdecimal() or len(token) > 9:
            return keep_sayable(token)
        return cardinal(token, self._spelling)

    def word(self, words: str, written: str = "") -> None:
        """Say a word, or the words that stand for what was `written`."""
        if words and not self.end_numbers(written or words):
            if self._mark == "." and not words[0].isupper():
                self._mark = ""
            self._put(words, written or words)
        self.glued = True

    def _put(self, words: str, written: str) -> None:
        """Add words, with the stop and the space that go before them."""
        words = words.translate(_NEVER_SAID).strip()
        if not words:
            return
        if self._mark and self._last:
            self._ready.append(self._mark)
            self._last = self._mark
            self.glued = False
        self._mark = ""
        # A sentence that was joined to the one before by mistake: end.Next
        mistake = self._last in ".!?" and self._before[-1:].islower() and words[0].isupper()
        if self._last and (not self.glued or (mistake and words[1:2].islower())):
            self._joined_from = len(self._ready)
            self._ready.append(" ")
        self._ready.append(words)
        self._last = words[-1]
        self._before = written
        self.glued = True

    def stop(self, stop: str) -> None:
        """End a clause or a sentence; after another stop, or nothing, there is none to end."""
        self.end_numbers()
        self._mark = ""
        if self._ends_word():
            self._ready.append(stop)
            self._last = stop
            self.glued = True

    def pause(self) -> None:
        """A comma before the next word, unless a stop comes first."""
        self.end_numbers()
        if self._ends_word() and not self._mark:
            self._mark = ","

    def maybe_stop(self, *, ends: bool) -> None:
        """After an abbreviation's dot: `ends` if a capital letter would begin a sentence."""
        self.end_numbers()
        self._mark = "." if ends else ""

    def _ends_word(self) -> bool:
        last = self._last
        return last != "" and (
            last.isalnum() or last in "%€$£¥°" or unicodedata.category(last)[0] == "M"
        )


def is_numeric(token: str) -> bool:
    """Whether a token is digits and what stands in and around them, a currency included."""
    return any(c.isdecimal() for c in token) and all(
        c.isdecimal() or c in "+-()./,:$€£¥₹" for c in token
    )


def keep_sayable(token: str) -> str:
    """What of a token the voice of another language can say."""
    token = token.removeprefix("https://").removeprefix("http://")
    return "".join(c for c in token if c.isalnum() or c in "%€$£¥°+-.,:/@&'²³" or ord(c) > 0xBF)
