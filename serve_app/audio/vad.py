"""Voice detection: the probability that 32 ms of 16 kHz audio hold speech.

Silero's network runs from its ONNX file through onnxruntime, so that no process loads torch.
The file comes out of the `silero-vad` wheel, which is installed without its dependencies and
never imported (importing it needs torch).
"""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from deployments.contracts import SPEECH_RATE
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
        self._rate = np.array(SPEECH_RATE, np.int64)

    def push(self, frame: Samples) -> float:
        """See VoiceDetector."""
        # The network wants the 64 samples before the frame in front of it.
        self._input[0, :_CONTEXT_SAMPLES] = self._input[0, -_CONTEXT_SAMPLES:]
        self._input[0, _CONTEXT_SAMPLES:] = frame
        feed = {"input": self._input, "state": self._state, "sr": self._rate}
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


class _Options(Protocol):
    intra_op_num_threads: int
    inter_op_num_threads: int


class _Session(Protocol):
    def run(
        self, outputs: None, feed: dict[str, NDArray[np.float32] | NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]: ...


class _OnnxRuntime(Protocol):
    """The part of onnxruntime, which has no types, that is used here."""

    def SessionOptions(self) -> _Options: ...

    def InferenceSession(
        self, path: str, sess_options: _Options, providers: list[str]
    ) -> _Session: ...


@cache
def _session() -> _Session:
    """The process's one copy of the network; it has no state and may be shared by threads."""
    runtime = cast("_OnnxRuntime", onnxruntime)
    options = runtime.SessionOptions()
    # One frame is too little work to share: more threads only spin.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(_model_path()), options, ["CPUExecutionProvider"])


def _model_path() -> Path:
    spec = find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "data", "silero_vad.onnx")
        if path.is_file():
            return path
    raise ConfigError(
        "Silero's voice detector is not installed: "
        "pip install --no-deps -r requirements/models.txt, or choose the energy detector."
    )
