"""The thread that seals and writes what a replica's calls record, and its bounded queue."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, Protocol

from deployments.logs import logger
from serve_app import metrics
from serve_app.archive.records import Ended, Record, encode
from serve_app.archive.sealed import Sealer

log = logger("recordings")

MAX_WAITING: Final = 256
"""Records that wait for the disk, 64 KB each. Overflow policy: the newest is lost, its recording
is marked incomplete and goes on."""


class Writer(Protocol):
    """Does jobs in their order, beside the calls."""

    def offer(self, job: Callable[[], None]) -> bool:
        """Do it, unless too many wait: then False."""
        ...

    def owe(self, job: Callable[[], None]) -> None:
        """Do it, however many wait: a recording's end, of which a call has but one."""
        ...

    def close(self) -> None:
        """Wait until all is done."""
        ...


class ThreadedWriter:
    """See Writer."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "recordings")
        self._room = BoundedSemaphore(MAX_WAITING)

    def offer(self, job: Callable[[], None]) -> bool:
        """See Writer."""
        if not self._room.acquire(blocking=False):
            return False
        done = self._thread.submit(job)
        done.add_done_callback(lambda _: self._room.release())
        done.add_done_callback(_told)
        return True

    def owe(self, job: Callable[[], None]) -> None:
        """See Writer."""
        self._thread.submit(job).add_done_callback(_told)

    def close(self) -> None:
        """See Writer."""
        self._thread.shutdown()


def _told(done: Future[Any]) -> None:
    error = done.exception()
    if error is not None:
        log.error("a recording's record was not written", exc_info=error)


class RecordingFile:
    """One recording's file, written in the writer's thread. A disk that fails ends it; the call
    goes on, and what was written stays readable."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._sealer = Sealer(key)
        self._descriptor: int | None = None
        self._failed = False

    def begin(self, first: Record) -> None:
        """Make the file, for its owner alone."""
        with_head = self._sealer.head + self._sealer.seal(encode(first))
        try:
            folder = self._path.parent
            # Each by itself: what `parents` makes has the usual mode.
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            self._fail(error)
        self._write(with_head)

    def write(self, record: Record) -> None:
        """Add a record; it outlives this process at once, if not the machine."""
        self._write(self._sealer.seal(encode(record)))

    def end(self, last: Ended) -> None:
        """Add the last record, and count what became of the recording."""
        self._write(self._sealer.seal(encode(last), last=True))
        if self._descriptor is not None and not self._failed:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._fail(error)
        if self._failed:
            outcome = "failed"
        elif self._erased():
            outcome = "erased"
        else:
            outcome = "incomplete" if last.lost else "written"
        self._close()
        metrics.recorded(outcome)

    def discard(self) -> None:
        """The caller agrees no more: nothing of it stays."""
        self._close()
        self._path.unlink(missing_ok=True)
        metrics.recorded("withdrawn")

    def _write(self, data: bytes) -> None:
        if self._descriptor is None or self._failed:
            return
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self._fail(error)

    def _erased(self) -> bool:
        """Whether its file was removed meanwhile, here or by another replica."""
        return self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _fail(self, error: OSError) -> None:
        self._failed = True
        log.error("a call is not recorded: %s", error.strerror)
