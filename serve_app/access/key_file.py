"""The file of keys: read at the start, and again when it changes, by every replica for itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from deployments.logs import logger
from serve_app.access.key_ring import KeyRing, parse
from serve_app.errors import ConfigError

log = logger("access")

LOOK_EVERY_S: Final = 2.0
"""How often the file's time is looked at, at most: so long may a key outlive its line."""
MAX_FILE_BYTES: Final = 4 * 1024 * 1024


class KeyFile:
    """A key file's present ring. Looking takes some microseconds, as does reading a short file."""

    def __init__(self, path: str, now: float) -> None:
        """`now` by any clock, in seconds. Raises ConfigError where it cannot be read."""
        self._path = Path(path)
        self._looked_at = now
        try:
            self._stamp = self._look()
            self._ring = self._read()
        except (OSError, ValueError) as error:
            raise ConfigError(f"auth.keys_file {path}: {_reason(error)}") from error

    def ring(self, now: float) -> KeyRing:
        """The keys as the file has them; as it last had them, while it cannot be read."""
        if now - self._looked_at < LOOK_EVERY_S:
            return self._ring
        self._looked_at = now
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._ring = self._read()
                self._stamp = stamp
                log.info("keys: %s has %d", self._path, len(self._ring))
        except (OSError, ValueError) as error:
            # Not fatal: a slip of the pen would else shut everybody out.
            log.error("keys: %s: %s; those read before hold", self._path, _reason(error))
        return self._ring

    def _look(self) -> tuple[int, int, int]:
        """What changes when the file does; a mounted secret is another file then."""
        found = os.stat(self._path)
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> KeyRing:
        with self._path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
        return parse(data.decode())


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
