"""The words a listener says to show that he listens, and that ask for nothing: "mm-hm", "okay".

While the agent speaks they are no turn. By language; an operator may replace a language's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from deployments.language_tags import primary_language

WORDS: Mapping[str, tuple[str, ...]] = {
    "en": (
        *("mm", "mmm", "hm", "hmm", "mhm", "mm hm", "mm hmm", "uh huh", "ah", "oh", "aha", "uh"),
        *("yeah", "yes", "yep", "yup", "ya", "okay", "ok", "right", "alright", "all right"),
        *("sure", "i see", "got it", "of course", "go on", "good", "great", "cool", "nice"),
    ),
    "de": ("mhm", "hm", "hmm", "aha", "ach so", "ja", "jaja", "okay", "ok", "gut", "genau", "klar"),
    "fr": ("mm", "hm", "mhm", "ah", "oui", "ouais", "d'accord", "ok", "okay", "bien", "je vois"),
    "es": ("mm", "hm", "aja", "ajá", "ah", "sí", "si", "vale", "ya", "claro", "ok", "okay", "bien"),
    "it": ("mm", "mh", "ah", "sì", "si", "ok", "okay", "certo", "va bene", "capito", "giusto"),
    "pt": ("hm", "hum", "ahã", "ah", "sim", "tá", "ok", "okay", "certo", "claro", "entendi"),
    "nl": ("hm", "mhm", "aha", "ja", "oké", "ok", "okay", "goed", "precies", "juist"),
    "pl": ("mhm", "aha", "hm", "tak", "okej", "ok", "dobrze", "jasne", "rozumiem"),
    "ru": ("угу", "ага", "м", "мм", "да", "так", "хорошо", "понятно", "ясно", "окей", "ок"),
    "zh": ("嗯", "嗯嗯", "哦", "对", "对对", "是", "是的", "好", "好的", "行", "明白"),
    "ja": ("うん", "うんうん", "はい", "ええ", "そう", "そうですね", "なるほど", "へえ"),
    "ko": ("응", "네", "예", "음", "그래", "그렇죠", "맞아요", "알겠어요"),
}
"""Words and short phrases as recognisers write them, by language, without marks."""

MOST_WORDS = 4
"""More of them in a row are more than a nod."""


class Backchannels:
    """The backchannels of one call's language, or of all where it is not known."""

    def __init__(self, words: Mapping[str, Iterable[str]], language: str | None) -> None:
        known = words.get(primary_language(language), ()) if language else _all(words)
        self._phrases = {tuple(split_words(phrase)) for phrase in known} - {()}
        self._beginnings = {
            phrase[:length] for phrase in self._phrases for length in range(1, len(phrase))
        }

    def match(self, words: list[str]) -> bool:
        """Whether the words are nothing else: one of them, or a few in a row."""
        return 0 < len(words) <= MOST_WORDS and self._covers(words)

    def begin(self, words: list[str]) -> bool:
        """Whether the words are backchannels, the last of which may not be complete."""
        return 0 < len(words) <= MOST_WORDS and self._covers(words, partly=True)

    def _covers(self, words: list[str], *, partly: bool = False) -> bool:
        if not words or (partly and tuple(words) in self._beginnings):
            return True
        return any(
            tuple(words[:length]) in self._phrases and self._covers(words[length:], partly=partly)
            for length in range(1, len(words) + 1)
        )


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without marks; a hyphen parts two, an apostrophe none."""
    kept = "".join(
        c if c.isalnum() or unicodedata.category(c)[0] == "M" else "" if c in "'’" else " "
        for c in unicodedata.normalize("NFC", text.casefold())
    )
    return kept.split()


def _all(words: Mapping[str, Iterable[str]]) -> list[str]:
    return [phrase for phrases in words.values() for phrase in phrases]
