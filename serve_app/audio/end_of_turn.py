"""End of turn: the probability that speech that just paused is complete, by how it sounds.

Knows the sound alone; how long a pause must then be is the conversation's business. Detectors
are slow for an event loop (Smart Turn takes tens of ms): run them in a thread of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np

from deployments.contracts import SPEECH_RATE
from serve_app.audio.log_mel import log_mel
from serve_app.audio.network import Network, file_of_package, load_network
from serve_app.audio.pcm import Samples, level_dbfs, to_float
from serve_app.errors import ConfigError


class EndOfTurnDetector(Protocol):
    """Without memory: one may serve every call, one question at a time."""

    def probability(self, pcm: bytes) -> float:
        """How likely a turn is complete: 16 kHz PCM from its start to some way into a pause."""
        ...


class SmartTurn:
    """EndOfTurnDetector over Smart Turn v3.2, a Whisper encoder that listens to the last 8 s.

    Raises ConfigError where its model is not installed.
    """

    WINDOW_S = 8

    def __init__(self) -> None:
        self._network = _smart_turn()

    def probability(self, pcm: bytes) -> float:
        """See EndOfTurnDetector."""
        feed = {"input_features": log_mel(_last_seconds(to_float(pcm), self.WINDOW_S))[None]}
        [answer] = self._network.run(None, {**feed})
        return float(answer[0, 0])


class FallingLevel:
    """EndOfTurnDetector by energy: a sentence that is over has died away, one that goes on has not.

    For machines without the model. Compares the last syllables with the sentence's usual level.
    """

    _STEP = SPEECH_RATE // 50
    _LAST_STEPS = 10
    _SPEECH_RANGE_DB = 30.0
    _MIDDLE_DB = 4.0
    _SLOPE_DB = 2.0

    def probability(self, pcm: bytes) -> float:
        """See EndOfTurnDetector."""
        samples = _last_seconds(to_float(pcm), SmartTurn.WINDOW_S)
        levels = np.array([level_dbfs(step) for step in samples.reshape(-1, self._STEP)])
        voiced = levels[levels > levels.max() - self._SPEECH_RANGE_DB]
        fall_db = float(np.median(voiced) - voiced[-self._LAST_STEPS :].mean())
        return 1 / (1 + math.exp((self._MIDDLE_DB - fall_db) / self._SLOPE_DB))


DETECTORS: dict[str, Callable[[], EndOfTurnDetector]] = {
    "smart-turn": SmartTurn,
    "energy": FallingLevel,
}
"""By the name they have in the settings. `silence`, the pause alone, needs none."""


def _last_seconds(samples: Samples, seconds: int) -> Samples:
    """The end of the samples, silence in front where they are too short, at unit variance."""
    wanted = seconds * SPEECH_RATE
    heard = samples[-wanted:]
    heard = np.concatenate([np.zeros(wanted - len(heard), np.float32), heard])
    return (heard - heard.mean()) / np.float32(math.sqrt(float(heard.var()) + 1e-7))


@cache
def _smart_turn() -> Network:
    """The process's one copy of the network."""
    path = file_of_package("pipecat", "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx")
    if path is None:
        raise ConfigError(
            "The Smart Turn model is not installed: "
            "pip install --no-deps -r requirements/ears.txt, or choose another turn.end_of_turn."
        )
    return load_network(path)
