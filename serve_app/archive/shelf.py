"""The recordings of one directory, by owner: where a new one goes, which there are, what is erased.

    <directory>/<HMAC of the owner>/<seconds since 1970>-<random>.call

So the names say neither who called nor which call it was. A file that is removed while a replica,
this one or another, still writes it is gone once that one closes it.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from deployments.logs import logger
from serve_app import metrics
from serve_app.archive.retention import Kept, to_remove

log = logger("recordings")

_SUFFIX = ".call"
_DAY_S = 86_400
_GB = 1e9


class Shelf:
    """Names and removes; methods but `new_path` block."""

    def __init__(self, directory: str, key: bytes) -> None:
        """`directory` need not be there yet."""
        self.directory = Path(directory).expanduser()
        self._key = key

    def new_path(self, owner: str, now: int) -> Path:
        """Where a recording that begins goes."""
        return self._folder(owner) / f"{now}-{uuid.uuid4().hex}{_SUFFIX}"

    def of(self, owner: str) -> list[Path]:
        """An owner's, oldest first."""
        return sorted(self._folder(owner).glob(f"*{_SUFFIX}"), key=_begun_at)

    def all(self) -> Iterator[Path]:
        """Everybody's, in any order."""
        return self.directory.glob(f"*/*{_SUFFIX}")

    def erase(self, owner: str) -> int:
        """Remove an owner's, those of calls in progress too; how many there were.

        Raises OSError.
        """
        return self._remove(self.of(owner), "erased")

    def sweep(self, now: int, keep_days: float, max_gb: float) -> None:
        """Remove what was kept for long enough, and what there is no room for."""
        try:
            kept = [_kept(path) for path in self.all()]
            going = to_remove(kept, now, keep_days * _DAY_S, max_gb * _GB)
            for path, why in going.items():
                self._remove([path], why)
        except OSError as error:
            log.error("recordings that are to go stay: %s", error.strerror)

    def _remove(self, paths: Iterable[Path], why: str) -> int:
        removed = 0
        for path in paths:
            try:
                path.unlink()
            except FileNotFoundError:
                continue  # Another replica was first.
            removed += 1
            metrics.recording_removed(why)
        return removed

    def _folder(self, owner: str) -> Path:
        name = hmac.digest(self._key, b"owner:" + owner.encode(), "sha256").hex()[:32]
        return self.directory / name


def _begun_at(path: Path) -> int:
    seconds = path.name.partition("-")[0]
    return int(seconds) if seconds.isascii() and seconds.isdigit() else 0


def _kept(path: Path) -> Kept:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    return Kept(path, _begun_at(path), size)
