"""Recognisers that threads can be held up in, and a replica of speech-to-text over them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from deployments.contracts import BadInput, Overloaded, SpeechWindow, StageInfo, Transcript
from deployments.stt import SpeechToTextDeployment

PATIENCE_S = 5.0
BLOCK = b"BLOCK!"
"""Audio that keeps a thread busy until `Gate.open`."""

Replica = cast(Any, SpeechToTextDeployment).func_or_class


class Gate:
    """Where threads wait; counts them."""

    def __init__(self) -> None:
        self._entered = threading.Semaphore(0)
        self._open = threading.Event()

    def pass_through(self) -> None:
        """Wait until it is opened."""
        self._entered.release()
        assert self._open.wait(PATIENCE_S)

    def open(self) -> None:
        """Let all through, for good."""
        self._open.set()

    async def entered(self, times: int = 1) -> None:
        """Until this many more threads wait here."""
        for _ in range(times):
            assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE_S)


class Windows:
    """A SpeechToText that says how much it was given."""

    def __init__(self, gate: Gate, batch: int = 1) -> None:
        self.gate = gate
        self.batch = batch
        self.calls: list[int] = []
        self.closed = False

    def load(self) -> StageInfo:
        """See SpeechToText."""
        return StageInfo("windows", batch=self.batch)

    def transcribe(self, windows: Sequence[SpeechWindow]) -> list[Transcript]:
        """See SpeechToText."""
        self.calls.append(len(windows))
        for window in windows:
            if window.language == "xx":
                raise BadInput("no such language")
            if window.pcm == BLOCK:
                self.gate.pass_through()
        return [Transcript(f"{len(window.pcm)} bytes") for window in windows]

    def close(self) -> None:
        """See SpeechToText."""
        self.closed = True


class Recogniser:
    """One stream: its transcript is all that it was fed."""

    def __init__(self, gate: Gate, closed: threading.Semaphore) -> None:
        self.gate = gate
        self.closed = closed
        self.fed = b""
        self.closes = 0
        self.busy = False
        self.closed_while_busy = False

    def feed(self, pcm: bytes) -> Transcript:
        """See contracts.Recogniser."""
        assert not self.busy, "two threads in one recogniser"
        assert not self.closes, "fed after it was closed"
        self.busy = True
        if pcm == BLOCK:
            self.gate.pass_through()
        self.busy = False
        self.fed += pcm
        return Transcript(self.fed.decode())

    def finish(self) -> Transcript:
        """See contracts.Recogniser."""
        return Transcript(self.fed.decode() + ".")

    def close(self) -> None:
        """See contracts.Recogniser."""
        self.closed_while_busy = self.closed_while_busy or self.busy
        self.closes += 1
        self.closed.release()


class Streams:
    """An IncrementalSpeechToText."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.slow_open = False
        self.room: int | None = None
        """Recognisers that there may be at once; None: any number."""
        self.closed = threading.Semaphore(0)
        self.opened: list[Recogniser] = []

    def load(self) -> StageInfo:
        """See IncrementalSpeechToText."""
        return StageInfo("streams", incremental=True)

    def open(self, language: str | None) -> Recogniser:
        """See IncrementalSpeechToText."""
        if language == "xx":
            raise BadInput("no such language")
        if self.room is not None and self.closes.count(0) >= self.room:
            raise Overloaded("all recognisers are in use")
        if self.slow_open:
            self.gate.pass_through()
        self.opened.append(Recogniser(self.gate, self.closed))
        return self.opened[-1]

    def close(self) -> None:
        """See IncrementalSpeechToText."""

    @property
    def closes(self) -> list[int]:
        """How often each recogniser was closed."""
        return [recogniser.closes for recogniser in self.opened]


@asynccontextmanager
async def serving(backend: Windows | Streams, gate: Gate) -> AsyncGenerator[Any, None]:
    """A replica, freed afterwards."""
    replica = Replica.__new__(Replica)
    replica.serve_backend(backend)
    yield replica
    gate.open()
    replica.__del__()
