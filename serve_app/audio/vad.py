"""Voice detection: the probability that 32 ms of 16 kHz audio hold speech.

Silero's network runs from the ONNX file in the `silero-vad` wheel, so that no process loads torch.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Protocol

import numpy as np

from deployments.contracts import SPEECH_RATE
from serve_app.audio.network import Network, file_of_package, load_network
from serve_app.audio.pcm import Samples, level_dbfs
from serve_app.errors import ConfigError

FRAME_SAMPLES = 512
"""Samples a detector takes at a time."""
FRAME_MS = FRAME_SAMPLES * 1000 // SPEECH_RATE

_CONTEXT_SAMPLES = 64


class VoiceDetector(Protocol):
    """One call's detector; it remembers what it heard before."""

    def push(self, frame: Samples) -> float:
        """Probability of speech in the next 512 samples, shape (512,)."""
        ...


class SileroVad:
    """VoiceDetector over Silero's network. Raises ConfigError where its model is not installed."""

    def __init__(self) -> None:
        self._session = _session()
        self._input = np.zeros((1, _CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def push(self, frame: Samples) -> float:
        """See VoiceDetector."""
        # The network wants the 64 samples before the frame in front of it.
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        self._input[0, _CONTEXT_SAMPLES:] = frame
        feed = {"input": self._input, "state": self._state}
        probability, self._state = self._session.run(None, feed)
        return float(probability[0, 0])


class EnergyVad:
    """VoiceDetector by level over an adaptive noise floor: for machines without the model.

    The floor falls fast in a pause and rises by 4 dB a second, so steady noise is learned
    and words are not. It takes any sudden loud sound for speech; never the default.
    """

    _MARGIN_DB = 12.0
    _SLOPE_DB = 2.0
    _RISE_DB = 4.0 * FRAME_MS / 1000
    _FALL = 0.3
    _QUIETEST_DBFS = -60.0
    _LOUDEST_START_DBFS = -35.0

    def __init__(self) -> None:
        self._floor: float | None = None

    def push(self, frame: Samples) -> float:
        """See VoiceDetector."""
        level = max(level_dbfs(frame), self._QUIETEST_DBFS)
        if self._floor is None:
            self._floor = min(level, self._LOUDEST_START_DBFS)
        above = level - self._floor
        self._floor += min(above, self._RISE_DB) if above > 0 else above * self._FALL
        return 1 / (1 + math.exp((self._MARGIN_DB - above) / self._SLOPE_DB))


@cache
def _session() -> Network:
    """The process's one copy of the network.

    Of the wheel's files that answer alike, the one for 16 kHz and frames of this size alone: it
    takes a fifth less time than the one that asks for the rate at every frame.
    """
    path = file_of_package("silero_vad", "data/silero_vad_openvino_16k.onnx")
    if path is None:
        raise ConfigError(
            "Silero's voice detector is not installed: "
            "pip install --no-deps -r requirements/ears.txt, or choose the energy detector."
        )
    return load_network(path)
