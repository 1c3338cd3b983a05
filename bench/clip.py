"""What a caller says: espeak's voice, with pauses inside the turn that do not end it.

Made when it is needed, so that no recording has to be kept; the same bytes on every machine with
the same espeakng-loader and soxr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.plan import RATE
from deployments.backends import create
from deployments.contracts import AudioChunk, SpeechRequest
from serve_app.audio.pcm import Samples, from_float, to_float
from serve_app.audio.resample import resample_all

PIECES = ("what is the weather", "like today", "in the old town")
GAPS_MS = (110, 140)
"""Silence put between the pieces; the voice's own fading adds to it. With Silero's slow fall this
stays below the pause that ends a turn (`tests/bench/test_yardstick.py` holds it to that)."""
PEAK = 0.8
BELOW_PEAK_DB = 35.0
"""Speech ends with the last 5 ms whose level is not this far below the loudest."""
STEP_MS = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """PCM16 at 16 kHz; speech lies between two sample positions of it."""

    pcm: bytes
    speech_start: int
    speech_end: int


def make_clip() -> Clip:
    """The clip. Raises BackendConfigError or LoadFailed where espeak cannot be loaded."""
    voice = create("tts", "espeak", {})
    voice.load()
    try:
        pieces = [_speak(voice.speak(SpeechRequest(text))) for text in PIECES]
    finally:
        voice.close()
    parts = [pieces[0]]
    for gap_ms, piece in zip(GAPS_MS, pieces[1:], strict=True):
        parts += [np.zeros(gap_ms * RATE // 1000, np.float32), piece]
    samples = np.concatenate(parts)
    samples *= PEAK / float(np.max(np.abs(samples)))
    start, end = speech_bounds(samples)
    return Clip(from_float(samples), start, end)


def speech_bounds(samples: Samples) -> tuple[int, int]:
    """First and last sample of what is audible, to STEP_MS. Raises ValueError for silence."""
    step = STEP_MS * RATE // 1000
    steps = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.mean(np.square(steps), axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-BELOW_PEAK_DB / 10))
    if not loud.size:
        raise ValueError("the clip is silent")
    return int(loud[0]) * step, (int(loud[-1]) + 1) * step


def _speak(chunks: Iterator[AudioChunk]) -> Samples:
    pcm, rate = b"", RATE
    for chunk in chunks:
        pcm, rate = pcm + chunk.pcm, chunk.rate
    samples = to_float(resample_all(pcm, rate, RATE))
    start, end = speech_bounds(samples)
    return samples[start:end]
