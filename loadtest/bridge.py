"""The process of callers, from locust's side: start a call, wait until it has ended.

Uses the standard library alone. In a locust process that is patched for gevent, so that what
waits here is one user and not the process.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from loadtest.callers import ENDED, READY
from loadtest.records import Record, from_line

ROOT: Final = Path(__file__).resolve().parent.parent
STOPPING_S: Final = 10.0


class CallersGone(Exception):
    """The process has ended, and its calls with it. The text is one line."""


class Bridge:
    """One process of callers. `on_record` is called for each record, in order, from one thread."""

    def __init__(self, options: Sequence[str], on_record: Callable[[Record], None]) -> None:
        """`options`: those of `loadtest.callers`."""
        self._on_record = on_record
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.callers", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        self._ready = threading.Event()
        self._ended: dict[int, threading.Event] = {}
        self._gone = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, number: int) -> None:
        """Make the call of this number, until it has ended. Stopped if whoever waits is.

        Raises CallersGone.
        """
        self._ready.wait()
        ended = self._ended[number] = threading.Event()
        self._order(f"start {number}")
        try:
            while not ended.wait(1.0):
                if self._gone:
                    break
        finally:
            if not ended.is_set() and not self._gone:
                self._order(f"stop {number}")
            self._ended.pop(number, None)
        if not ended.is_set():
            raise CallersGone("the process that holds the calls has ended")

    def close(self) -> None:
        """Stop the calls that are left, and wait for their last records."""
        if self._process.stdin is not None and not self._gone:
            self._process.stdin.close()
        try:
            self._process.wait(STOPPING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(STOPPING_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _order(self, order: str) -> None:
        if self._process.stdin is None or self._gone:
            raise CallersGone("the process that holds the calls has ended")
        try:
            self._process.stdin.write(f"{order}\n")
            self._process.stdin.flush()
        except OSError as error:
            raise CallersGone(f"the process that holds the calls has ended: {error}") from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == READY:
                self._ready.set()
            elif word == ENDED:
                if (ended := self._ended.get(int(rest))) is not None:
                    ended.set()
            else:
                self._on_record(from_line(line))
        self._gone = True
        self._ready.set()
