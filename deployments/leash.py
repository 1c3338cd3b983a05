"""Processes that end with this one, however it ends: a killed replica leaves no engine on the GPU.

What is started inside `marking` carries a mark in its environment. A small process, this file run
as a program, waits until its parent is gone and then kills what is marked. Linux only; elsewhere
nothing is marked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_VARIABLE = "PARLEY_LEASH"
_AGAIN_S = 0.1


class Leash:
    """Holds processes until `release`; when this process ends before, they are killed."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self._guard: subprocess.Popen[bytes] | None = None
        if sys.platform == "linux":
            # In a session of its own no signal to this process' group reaches it.
            command = [sys.executable, "-S", "-E", __file__, self._mark]
            self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @contextmanager
    def marking(self) -> Generator[None]:
        """Programs started in here are held; what this process only forks is not."""
        os.environ[_VARIABLE] = self._mark
        try:
            yield
        finally:
            del os.environ[_VARIABLE]

    def release(self) -> None:
        """Let go: nothing is killed."""
        if self._guard is not None:
            self._guard.communicate(b"released")
            self._guard = None


def _guard(mark: str) -> None:
    """Wait for the parent's end of the pipe, which ends with it."""
    if sys.stdin.buffer.read():
        return
    while marked := _marked(f"{_VARIABLE}={mark}".encode()):
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_AGAIN_S)


def _marked(mark: bytes) -> list[int]:
    """The living processes with this in their environment; zombies have none."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            # Python's tracker of shared memory cleans up after the others, and then ends itself.
            tracker = b"resource_tracker" in (entry / "cmdline").read_bytes()
            if mark in environment and not tracker:
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    _guard(sys.argv[1])
