"""A recogniser of known speed, for benchmarks and tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from deployments.backends import BackendConfigError, register
from deployments.contracts import BadInput, SpeechWindow, StageInfo, Transcript


@register("stt", "timed")
class TimedSpeechToText:
    """Hears `text`, or the texts of a list in turn: the next with each final, then from the start.

    A call takes `final_ms` where any of its windows is final, else `partial_ms`; calls in
    different threads do not wait for each other. A partial hears what the next final will.
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
        heard = [Transcript(self._hear(window.final)) for window in windows]
        time.sleep(max(0.0, due - _now()))
        return heard

    def close(self) -> None:
        """Nothing to free."""

    def _hear(self, final: bool) -> str:
        with self._lock:
            text = self._texts[self._finals % len(self._texts)]
            self._finals += final
        return text


def _now() -> float:
    return time.monotonic()  # noqa: TID251  keeping time is what this backend does
