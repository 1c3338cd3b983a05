"""What callers say: sentences in an embedded voice, with a pause inside that ends no turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clients.audio_file import resampled
from clients.loudness import voice_end_ms
from clients.sample_voice import speak

SENTENCES: Final = (
    ("what is the weather", "like in the old town"),
    ("I want to talk", "about my mother"),
    ("please tell me more", "about the garden"),
    ("my sister wants to come", "to the house on Sunday"),
    ("can you find a train", "that leaves in the morning"),
    ("I do not think", "that this is the right one"),
    ("there was a letter", "from the bank last week"),
    ("how long does it take", "to walk to the station"),
)
PAUSE_MS: Final = 130
"""Below every pause that ends a turn, with the detector's slow fall added."""

_BASE_RATE = 48_000
_PEAK = 20_000
_TONE_PEAK = 1_500

_Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Clip:
    """Int16 mono samples, and how many of them there are up to the end of the voice."""

    pcm: bytes
    voice_end: int


class Clips:
    """All sentences at the rates that callers need: made once, as speaking takes a while."""

    def __init__(self, spoken: Mapping[int, Sequence[_Samples]]) -> None:
        """`spoken`: by rate in Hz the sentences."""
        self._spoken = spoken

    def __len__(self) -> int:
        return min(len(sentences) for sentences in self._spoken.values())

    def clip(self, sentence: int, rate: int, tone_hz: int | None) -> Clip:
        """A sentence at a rate in Hz, over a tone if there is to be one."""
        samples = self._spoken[rate][sentence]
        if tone_hz is not None:
            times = np.arange(len(samples)) / rate
            tone = _TONE_PEAK * np.sin(2 * np.pi * tone_hz * times)
            samples = (samples + tone).astype("<i2")
        return Clip(samples.astype("<i2").tobytes(), len(samples))


def make_clips(rates: Sequence[int]) -> Clips:
    """Speak all sentences; about a second. Raises SampleVoiceMissing."""
    pause = bytes(_BASE_RATE * PAUSE_MS // 1000 * 2)
    spoken = [pause.join(_voiced(speak(part, _BASE_RATE)) for part in s) for s in SENTENCES]
    return Clips(
        {rate: [_levelled(resampled(pcm, _BASE_RATE, rate)) for pcm in spoken] for rate in rates}
    )


def _voiced(pcm: bytes) -> bytes:
    """Up to the end of the voice."""
    return pcm[: voice_end_ms(pcm, _BASE_RATE) * _BASE_RATE // 1000 * 2]


def _levelled(pcm: bytes) -> _Samples:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    return (samples * (_PEAK / float(np.abs(samples).max()))).astype(np.int16)
