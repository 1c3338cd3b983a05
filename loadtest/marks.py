"""What only one caller says and hears, and whose it is that came: how leaks are found. Pure.

A caller types a word of its own. With the timed backends (`timed.yaml`) a tone of its own lies
under its speech, which the recogniser names, and its replies are spoken by a tone of its own. So
whatever reaches another call says from whom it is: transcripts, texts, history and audio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

TONES: Final = 160
VOICES: Final = 64
"""So many tones tell callers apart; of callers that many apart, one would not be told from another
by its tone. Words are all different."""

_LETTERS: Final = 6
_FIRST_TONE_HZ, _TONE_STEP_HZ = 2_800, 5
_FIRST_VOICE_HZ, _VOICE_STEP_HZ = 300, 20
_WORD = re.compile(rf"\bzq[a-z]{{{_LETTERS}}}\b", re.IGNORECASE)
_TONE = re.compile(r"\b(?:2[89]|3[0-5])\d\d\b")

WINDOW_S: Final = 0.2
"""Audio whose tone is looked for at once: a line every 5 Hz."""
AUDIBLE: Final = 200
"""Smallest peak of a window that is a voice."""


@dataclass(frozen=True, slots=True)
class Marks:
    """One caller's: a word, the tone under its speech in Hz, its replies' tone in Hz."""

    word: str
    tone_hz: int
    voice_hz: int


def marks_of(number: int) -> Marks:
    """The marks of a caller, by its number in the whole test."""
    letters, rest = "", number
    for _ in range(_LETTERS):
        rest, letter = divmod(rest, 26)
        letters = chr(ord("a") + letter) + letters
    return Marks(
        f"zq{letters}",
        _FIRST_TONE_HZ + number % TONES * _TONE_STEP_HZ,
        _FIRST_VOICE_HZ + number % VOICES * _VOICE_STEP_HZ,
    )


def foreign_word(text: str, own: Marks) -> str | None:
    """Another caller's word in a text."""
    return next((word for word in _WORD.findall(text) if word.lower() != own.word), None)


def foreign_tone(text: str, own: Marks) -> str | None:
    """Another caller's tone, named in a text. 2 Hz beside a caller's own is its own."""
    named = (int(tone) for tone in _TONE.findall(text))
    return next((f"{hz} Hz" for hz in named if abs(hz - own.tone_hz) > 2), None)


class VoiceWatch:
    """Whether the audio of a reply is spoken by the caller's own tone."""

    def __init__(self, own: Marks) -> None:
        self._own_hz = own.voice_hz
        self._pcm = b""

    def push(self, pcm: bytes, rate: int) -> float | None:
        """The next samples: another voice's tone in Hz, if one is heard."""
        self._pcm += pcm
        size = round(rate * WINDOW_S) * 2
        found = None
        while len(self._pcm) >= size:
            window, self._pcm = self._pcm[:size], self._pcm[size:]
            hz = tone_of(window, rate)
            if hz is not None and abs(hz - self._own_hz) > _VOICE_STEP_HZ / 2:
                found = hz
        return found


def tone_of(pcm: bytes, rate: int) -> float | None:
    """The loudest frequency of int16 samples in Hz; None for silence."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    if not len(samples) or float(np.abs(samples).max()) < AUDIBLE:
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples)))
    return float(np.argmax(spectrum)) * rate / (4 * len(samples))
