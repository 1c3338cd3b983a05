"""An archive for tests: written at once, with a clock of its own, and what is in it."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serve_app.archive import playback
from serve_app.archive.archive import Archive
from serve_app.archive.settings import RecordingSettings

KEY = bytes(range(32))
NOW = 1_700_000_000


class WrittenAtOnce:
    """Writer: no thread, so that time may be virtual. `full`: there is no room."""

    def __init__(self) -> None:
        self.full = False

    def offer(self, job: Callable[[], None]) -> bool:
        """See Writer."""
        if not self.full:
            job()
        return not self.full

    def owe(self, job: Callable[[], None]) -> None:
        """See Writer."""
        job()

    def close(self) -> None:
        """See Writer."""


def archive_in(directory: Path, **settings: object) -> Archive:
    """One whose clock stands still."""
    whole = RecordingSettings.model_validate({"directory": str(directory), **settings})
    return Archive(whole, KEY, WrittenAtOnce(), lambda: NOW)


def only(archive: Archive, owner: str = "anna") -> Path:
    """The one recording that an owner has."""
    [path] = archive.shelf.of(owner)
    return path


def sides(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The caller's samples and the agent's."""
    moments = playback.read(path, KEY).moments
    data = b"".join(playback.wav(path, KEY, moments))
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 16_000)
        assert file.getnframes() == moments
        samples = np.frombuffer(file.readframes(moments), "<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]
