"""Owns what a language model writes → what a voice can say, while it is being written.

`MarkupStripper` leaves text; here it is split into tokens, and `Utterance` lines up what they
say. All decide by characters alone, so the result does not depend on how the text was cut into
pieces. What a piece's end does decide is how early a word is given out.

A word is final at the character after it. Held for longer are numbers (until the next word: it
may be a unit), abbreviations (their dot may end a sentence), and words that a dot joins to the
one before (`example.com`).
"""

from __future__ import annotations

import unicodedata

from serve_app.conversation.english_words import ABBREVIATIONS, SENTENCE_ENDERS
from serve_app.conversation.markup import MarkupStripper
from serve_app.conversation.spoken_english import speak_token
from serve_app.conversation.unspaced_scripts import is_unspaced
from serve_app.conversation.utterance import MOST_HELD, Utterance, is_numeric, keep_sayable

_PLAIN = str.maketrans("‘’ʼ…‐‑−ℹ", "'''.--- ")
_QUOTES = frozenset('"“”„‟«»‹›「」『』')
_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
_DASHES = frozenset("|—–")
_STOPS = frozenset(".,;:!?")
_UNSPACED_STOPS = frozenset("。，、；：！？")
_INSIDE_WORDS = frozenset("'-¿¡\u200c")  # the last one is spelling in Persian, not decoration
_SYMBOLS = frozenset("&@+=×÷<>≤≥≈~±≠→%°#²³$€£¥₹^/√∞-_'*¿¡")
_SCHEMES = frozenset(("http", "https", "ftp", "mailto"))


class SpokenText:
    """Turns one reply's text into speakable text. Not reused: a new reply takes a new one."""

    def __init__(self, language: str = "en") -> None:
        self._markup = MarkupStripper()
        self._utterance = Utterance(language)
        self._token = ""

    def feed(self, delta: str) -> str:
        """The text that is certain now; it is never revised. No text raises."""
        self._read(self._markup.feed(delta))
        return self._utterance.take(joined=self._token != "" and self._utterance.glued)

    def end(self) -> str:
        """The rest."""
        self._read(self._markup.end())
        self._end_token()
        self._utterance.end()
        return self._utterance.take(joined=False)

    def _read(self, text: str) -> None:
        for character in text.translate(_PLAIN):
            self._take(character)

    def _take(self, ch: str) -> None:
        """The next character of plain text."""
        if ch.isspace():
            self._part()
            if ch == "\n":  # a block's last words end a sentence, whatever stands there
                self._utterance.stop(".")
                self._utterance.glued = False
        elif ch in _STOPS:
            self._take_stop(ch)
        elif ch in _UNSPACED_STOPS:
            self._end_token()
            self._utterance.stop(ch)
        elif ch in _QUOTES or ch in _DASHES or ch in _OPENERS or ch in _CLOSERS:
            self._take_mark(ch)
        elif is_unspaced(ch):
            self._end_token()
            self._utterance.word(ch)
        elif ch == "-" and self._token.endswith("-"):
            self._token = self._token[:-1]
            self._take_mark("—")
        else:
            self._take_letter(ch)

    def _take_letter(self, ch: str) -> None:
        """Letters, digits and symbols; what no voice can say parts words, or is nothing."""
        category = unicodedata.category(ch)
        if category[0] == "L" or ch in _SYMBOLS:
            self._grow(ch)
        elif category == "Nd":
            self._grow(str(unicodedata.decimal(ch)))
        elif category[0] == "N":
            self._take_compatible(ch)
        elif ch == "\u200c" or (category in ("Mn", "Mc") and not _selects_variant(ch)):
            if self._token or category[0] == "M":
                self._grow(ch)
        elif category[0] in "SP":
            self._part()

    def _take_compatible(self, ch: str) -> None:
        """½, ①, Ⅳ: as the plain characters they stand for."""
        plain = unicodedata.normalize("NFKC", ch).replace("⁄", "/")
        if "/" in plain:
            self._part()
        for character in plain:
            if (character.isalnum() and character.isascii()) or character == "/":
                self._grow(character)

    def _take_mark(self, ch: str) -> None:
        """Quotes go; brackets, dashes and a table's bars become commas where words are apart."""
        token = self._token
        if ch == "–" and token[-1:].isdecimal():
            self._grow("-")
        elif ch == "(" and not token:
            if not self._utterance.awaits_telephone():
                self._utterance.end_numbers()
            self._token = "("
        elif (ch in _OPENERS and token) or (ch == ")" and "(" in token):
            self._grow(ch)
        else:
            self._end_token()
            if ch in _DASHES:
                self._utterance.glued = False
            if ch not in _QUOTES:
                self._utterance.pause()

    def _part(self) -> None:
        """White space, or what stands for it."""
        self._end_token()
        self._utterance.glued = False

    def _grow(self, ch: str) -> None:
        if self._token == "(" and not ch.isdecimal():
            self._token = ""
            self._utterance.pause()
        self._token += ch
        if len(self._token) >= MOST_HELD:
            self._end_token()

    def _take_stop(self, ch: str) -> None:
        """A stop gives out the plain word before it at once; in anything else it may be inside."""
        token = self._token
        link = "://" in token or token.lower().startswith("www.")
        if not token and (ch != "." or self._utterance.glued):
            self._utterance.stop(ch)
        elif token and (
            (ch in "!?;" and not link) or (_is_plain(token) and not self._may_go_on(token, ch))
        ):
            self._end_token()
            self._utterance.stop(ch)
        else:
            self._grow(ch)

    def _may_go_on(self, word: str, stop: str) -> bool:
        """Whether a stop after this word is likely not one."""
        lower = word.lower()
        if stop == ":":
            return lower in _SCHEMES
        if stop != ".":
            return False
        known = self._utterance.english and lower in ABBREVIATIONS
        return known or lower == "www" or len(word) == 1

    def _end_token(self) -> None:
        """The token is whole: say it."""
        token, self._token = self._token, ""
        if not token:
            return
        if _is_plain(token):
            self._utterance.word(token.strip("'-"))
            return
        core = token.rstrip(".,:;!?'")
        stops = token[len(core) :].replace("'", "")
        if core.startswith("(") and not is_numeric(core):
            core = core[1:]
            self._utterance.pause()
        if not self._utterance.add_number(core):
            self._end_other(core, stops)
        elif stops:
            self._utterance.stop(stops[0])
        self._utterance.glued = True

    def _end_other(self, core: str, stops: str) -> None:
        """A token of mixed characters, an abbreviation, a link."""
        utterance, lower = self._utterance, core.lower()
        if not utterance.english:
            utterance.word(keep_sayable(core))
        elif stops and lower in ABBREVIATIONS:
            utterance.word(ABBREVIATIONS[lower], core)
            if stops == ".":
                utterance.maybe_stop(ends=lower in SENTENCE_ENDERS)
                return
            stops = stops[1:]
        else:
            utterance.word(core if utterance.takes_unit(core) else speak_token(core), core)
        if stops:
            utterance.stop(stops[0])


def _is_plain(token: str) -> bool:
    """Whether a token is letters, their marks, and apostrophes or hyphens inside."""
    begins = token[0] != "-" and (token[0] != "'" or token[1:2].isalpha())
    return begins and all(
        c.isalpha() or c in _INSIDE_WORDS or unicodedata.category(c)[0] == "M" for c in token
    )


def _selects_variant(ch: str) -> bool:
    """Whether a mark only chooses how the character before it is drawn."""
    return 0xFE00 <= ord(ch) <= 0xFE0F or ord(ch) >= 0xE0000
