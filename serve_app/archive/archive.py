"""What the calls of one ingress replica record with, and what removes recordings in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from serve_app.archive.settings import RecordingSettings, sealing_key
from serve_app.archive.shelf import Shelf
from serve_app.archive.writer import ThreadedWriter, Writer

SWEEP_S: Final = 60.0
"""How often a replica looks which recordings are to go."""


class Archive:
    """A shelf of recordings, the writer for it and the clock that dates them.

    `date`: seconds since 1970.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        key: bytes,
        writer: Writer,
        date: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.key = key
        self.writer = writer
        self.shelf = Shelf(settings.directory, key)
        self._date = date

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self._date())

    def sweep(self) -> None:
        """Remove what is to go; blocks."""
        self.shelf.sweep(self.now(), self.settings.keep_days, self.settings.max_gb)


def new_archive(settings: RecordingSettings | None) -> Archive | None:
    """None where nothing is recorded. Raises ConfigError."""
    if settings is None:
        return None
    return Archive(settings, sealing_key(settings), ThreadedWriter())
