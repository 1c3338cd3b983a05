"""A voice of known speed, for benchmarks and tests."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator
from contextlib import nullcontext

import numpy as np

from deployments.backends import register
from deployments.contracts import AudioChunk, SpeechRequest, SpokenWord, StageInfo

_RATE = 24_000
_CHUNK_MS = 80
_TONE_HZ, _AMPLITUDE = 220, 1000


@register("tts", "timed")
class TimedTextToSpeech:
    """A quiet tone of `ms_per_char`, in chunks of 80 ms; the voice `440` is a tone of 440 Hz.

    The first chunk takes `first_audio_ms`, each next one its own length times `rtf`. With `slots`
    as many phrases are made at once, and others wait for one to end; None: any number.
    Chunks keep to the clock of their own phrase: a late one does not delay those after it.
    """

    def __init__(
        self,
        *,
        first_audio_ms: float = 100.0,
        rtf: float = 0.17,
        ms_per_char: float = 60.0,
        slots: int | None = None,
    ) -> None:
        self._first_audio_s = first_audio_ms / 1000
        self._rtf = rtf
        self._ms_per_char = ms_per_char
        self._slot_count = slots
        self._slots = nullcontext() if slots is None else threading.BoundedSemaphore(slots)

    def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo(backend="timed", slots=self._slot_count, details={"rate": str(_RATE)})

    def speak(self, request: SpeechRequest) -> Generator[AudioChunk, None, None]:
        """The tone, with each word where its characters are."""
        total_ms = len(request.text) * self._ms_per_char
        voice = request.voice or ""
        hz = int(voice) if re.fullmatch("[0-9]{2,4}", voice) else _TONE_HZ
        words = [
            SpokenWord(match.start(), match.end(), int(match.start() * self._ms_per_char))
            for match in re.finditer(r"\S+", request.text)
        ]
        with self._slots:
            due = _now() + self._first_audio_s
            at_ms = 0.0
            while at_ms < total_ms:
                end_ms = min(at_ms + _CHUNK_MS, total_ms)
                time.sleep(max(0.0, due - _now()))
                begun = tuple(word for word in words if at_ms <= word.at_ms < end_ms)
                yield AudioChunk(_tone(hz, at_ms, end_ms), _RATE, begun)
                at_ms = end_ms
                due += min(_CHUNK_MS, total_ms - at_ms) / 1000 * self._rtf

    def close(self) -> None:
        """Nothing to free."""


def _tone(hz: int, start_ms: float, end_ms: float) -> bytes:
    samples = np.arange(round(start_ms * _RATE / 1000), round(end_ms * _RATE / 1000))
    wave = _AMPLITUDE * np.sin(2 * np.pi * hz / _RATE * samples)
    return wave.astype("<i2").tobytes()


def _now() -> float:
    return time.monotonic()  # noqa: TID251  keeping time is what this backend does
