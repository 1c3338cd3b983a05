"""What a model makes of a reference recording, kept: in memory, and beside the recording.

Files are safetensors, which hold numbers and nothing that could run. Knows no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from deployments.contracts import BadInput
from deployments.logs import logger

log = logger("voices")

Tensors: TypeAlias = dict[str, Any]
"""torch tensors by name."""

MAX_KEPT = 64
"""Recordings whose tensors stay in memory, of some 100 kB each; then the oldest go."""


def check_recording(recording: Path, min_s: float) -> None:
    """Raise BadInput for what is not a recording of at least this length."""
    try:
        length_s: float = import_module("soundfile").info(recording).duration
    except (OSError, RuntimeError) as error:
        raise BadInput(f"the recording cannot be read: {error}") from error
    if length_s < min_s:
        raise BadInput(f"the recording is {length_s:.1f} s long; {min_s:g} s are needed")


def read_recording(recording: Path, min_s: float) -> tuple[Any, int]:
    """Samples of -1 to 1 by channel, as a tensor, and their rate. Raises BadInput, as above.

    For the place of torchaudio's `load`, which needs FFmpeg.
    """
    check_recording(recording, min_s)
    samples, rate = import_module("soundfile").read(recording, dtype="float32", always_2d=True)
    return import_module("torch").from_numpy(samples.T.copy()), rate


class VoicePrompts:
    """The prompts of one backend, `origin` being all that they depend on besides the recording.

    Not thread-safe: it goes with its model's thread.
    """

    def __init__(self, backend: str, origin: str, device: str) -> None:
        self._file = f"{backend}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.safetensors"
        self._device = device
        self._kept: dict[Path, Tensors] = {}

    def get(self, recording: Path, make: Callable[[], Tensors], *, on_disk: bool) -> Tensors:
        """The tensors of a recording, made if need be. Raises what `make` does.

        `on_disk`: for a registered voice, whose folder is ours and whose file never changes.
        """
        prompt = self._kept.get(recording)
        if prompt is None:
            path = recording.with_name(self._file) if on_disk else None
            prompt = self._read(path) if path else None
            if prompt is None:
                prompt = make()
                if path:
                    self._write(path, prompt)
            if len(self._kept) == MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[recording] = prompt
        return prompt

    def _read(self, path: Path) -> Tensors | None:
        if not path.exists():
            return None
        try:
            return import_module("safetensors.torch").load_file(path, device=self._device)
        except (OSError, import_module("safetensors").SafetensorError) as error:
            log.warning("%s cannot be read and is made anew: %s", path.name, error)
            return None

    def _write(self, path: Path, prompt: Tensors) -> None:
        """Whole or not at all, whoever else writes it too."""
        draft = path.with_name(f"{path.name}.{uuid4().hex}")
        tensors = {name: tensor.contiguous() for name, tensor in prompt.items()}
        try:
            import_module("safetensors.torch").save_file(tensors, draft)
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            log.warning("%s cannot be kept: %s", path.name, error)
