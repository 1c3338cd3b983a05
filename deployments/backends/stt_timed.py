"""A recogniser of known speed, for benchmarks and tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from deployments.backends import BackendConfigError, register
from deployments.contracts import BadInput, SpeechWindow, StageInfo, Transcript

TONE: Final = "{tone}"
"""In a text: where the tone that was heard is named, so that a load test knows whose words come."""
TONE_HZ: Final = (2_700, 3_700)
"""Where a tone is looked for: most speech is below, and a telephone carries it."""
NO_TONE: Final = "0"

_RATE = 16_000
_LOOKED_AT = _RATE
_CLEAR = 8.0
"""A tone's line is so many times as high as any that is not beside it."""
_BESIDE = 12


@register("stt", "timed")
class TimedSpeechToText:
    """Hears `text`, or the texts of a list in turn: the next with each final, then from the start.

    A call takes `final_ms` where any of its windows is final, else `partial_ms`; calls in
    different threads do not wait for each other. A partial hears what the next final will.
    `{tone}` in a text becomes the frequency in Hz, 2700 to 3700, of a tone that lies under the
    speech, `0` where there is none: a caller that sends one is told from the others.
    """

    def __init__(
        self,
        *,
        final_ms: float = 80.0,
        partial_ms: float = 80.0,
        text: str | Sequence[str] = "what is the weather like today",
    ) -> None:
        if not text:
            raise BackendConfigError("stt backend 'timed': text is a sentence, or a list of some")
        self._final_s = final_ms / 1000
        self._partial_s = partial_ms / 1000
        self._texts = (text,) if isinstance(text, str) else tuple(text)
        self._finals = 0
        self._lock = threading.Lock()

    def load(self) -> StageInfo:
        """Nothing to load."""
        return StageInfo(backend="timed")

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """A text a window. Raises BadInput for half a sample."""
        final = any(window.final for window in windows)
        due = _now() + (self._final_s if final else self._partial_s)
        if any(len(window.pcm) % 2 for window in windows):
            raise BadInput("PCM of 16-bit samples cannot have an odd number of bytes")
        heard = [Transcript(self._hear(window)) for window in windows]
        time.sleep(max(0.0, due - _now()))
        return heard

    def close(self) -> None:
        """Nothing to free."""

    def _hear(self, window: SpeechWindow) -> str:
        with self._lock:
            text = self._texts[self._finals % len(self._texts)]
            self._finals += window.final
        return text.replace(TONE, tone_in(window.pcm)) if TONE in text else text


def tone_in(pcm: bytes) -> str:
    """The tone in the last second of 16 kHz mono int16 samples, in Hz; `0`: none is clear."""
    samples = np.frombuffer(pcm, "<i2")[-_LOOKED_AT:].astype(np.float32)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), _LOOKED_AT))
    band = spectrum[TONE_HZ[0] : TONE_HZ[1] + 1]  # a line is 1 Hz
    line = int(np.argmax(band))
    others = np.delete(band, range(max(0, line - _BESIDE), min(len(band), line + _BESIDE + 1)))
    return str(TONE_HZ[0] + line) if band[line] > _CLEAR * others.mean() else NO_TONE


def _now() -> float:
    return time.monotonic()  # noqa: TID251  keeping time is what this backend does
