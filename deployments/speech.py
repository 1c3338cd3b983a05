"""What recognisers share: samples from PCM, languages, times put in order, guesses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.contracts import SPEECH_RATE, BadInput, SpeechWindow, Word
from deployments.language_tags import primary_language

SHORTEST_S = 0.1
"""Less audio than this holds no word; a model that is given it makes one up."""

OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word after it, and to the one before it."""

MOST_TOKENS_PER_S = 30
"""More than anybody says, in any script: what ends a decoder that repeats itself."""

SMALLER_WHISPER = {
    "large-v3": "large-v3-turbo",
    "large-v3-turbo": "small",
    "turbo": "small",
    "medium": "small",
    "medium.en": "small.en",
    "small": "base",
    "small.en": "base.en",
    "base": "tiny",
    "base.en": "tiny.en",
}
"""The Whisper model to go on with where there is no memory for one."""

_WORD_TIMES_FROM_S = 6.0
"""Word times cost a pass of their own. A partial this long has them, so that the next partials can
start at a word; finals always do."""

_SLACK_MS = 20
"""How far past the audio's end a word may reach: a frame of most models."""


def samples(pcm: bytes) -> NDArray[np.float32]:
    """The samples as models take them, -1 to 1. Raises BadInput for half a sample."""
    if len(pcm) % 2:
        raise BadInput("PCM of 16-bit samples cannot have an odd number of bytes")
    return np.frombuffer(pcm, np.int16).astype(np.float32) / 32768.0


def duration_s(window: SpeechWindow) -> float:
    """How long the window is."""
    return len(window.pcm) / 2 / SPEECH_RATE


def noise() -> bytes:
    """A second that holds no word, to warm a model up; silence would be over too soon."""
    return np.random.default_rng(0).normal(0, 1000, SPEECH_RATE).astype(np.int16).tobytes()


def language_of(
    window: SpeechWindow, usual: str | None, known: tuple[str, ...], model: str
) -> str | None:
    """The language to hear the window in; None: the model finds out.

    `usual` is for a window that does not say, `known` what the model has. What is to be translated
    is hardly in the usual one. Raises BadInput.
    """
    if window.language is None and window.task == "translate":
        return None
    if window.language is None:
        return usual or (known[0] if len(known) == 1 else None)
    language = primary_language(window.language)
    if language not in known:
        raise BadInput(f"stt model {model!r} does not know {window.language!r}")
    return language


def was_taught_translation(model: str) -> bool:
    """Whether a Whisper model of many languages translates, by its name.

    Those that were made faster or smaller were taught to transcribe alone: told to translate, they
    transcribe all the same.
    """
    return not any(kind in model.lower() for kind in ("turbo", "distil"))


def wants_words(window: SpeechWindow) -> bool:
    """Whether somebody has a use for the window's word times."""
    return window.final or duration_s(window) >= _WORD_TIMES_FROM_S


@dataclass(frozen=True, slots=True)
class Guess:
    """A word as a model places it, in seconds; models place some words badly."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0


def words_in_order(guesses: Iterable[Guess], audio_s: float) -> tuple[Word, ...]:
    """The words, none before the one before it has ended, none empty, all within the audio.

    Where a model's times allow that, they stay as they are; else words are as short as a
    millisecond.
    """
    spoken = [guess for guess in guesses if guess.text.strip()]
    spans: list[tuple[int, int]] = []
    end = 0
    for guess in spoken:
        start = max(end, round(guess.start_s * 1000))
        end = max(start + 1, round(guess.end_s * 1000))
        spans.append((start, end))
    limit = round(audio_s * 1000) + _SLACK_MS
    for at in range(len(spans) - 1, -1, -1):
        end = min(spans[at][1], limit)
        limit = max(0, min(spans[at][0], end - 1))
        spans[at] = (limit, end)
    return tuple(
        Word(guess.text.strip(), start, end, min(max(float(guess.confidence), 0.0), 1.0))
        for guess, (start, end) in zip(spoken, spans, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps the words that a Whisper model makes up from being taken for speech.

    `no_speech_threshold` with `log_prob_threshold`: silence, if the model thinks so and is not
    sure of its words either. `compression_ratio_threshold`: text that compresses this well is a
    decoder that repeats itself.
    """

    no_speech_threshold: float
    log_prob_threshold: float
    compression_ratio_threshold: float

    def believe(self, log_prob: float, no_speech: float, compression_ratio: float) -> bool:
        """Whether a segment with these measures was said."""
        silence = no_speech > self.no_speech_threshold and log_prob < self.log_prob_threshold
        return not silence and compression_ratio <= self.compression_ratio_threshold
