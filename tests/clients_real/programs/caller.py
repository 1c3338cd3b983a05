"""A caller for the programs beside it: what it says, what it is told, and when it says what.

The programs run in an environment of their own and report to the test on standard output, a JSON
object a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

RATE = 24_000
FRAME_S = 0.02
FRAME_BYTES = round(RATE * FRAME_S) * 2
PATIENCE_S = 30.0
HEARD_BEFORE_INTERRUPTING_MS = 1_500


class Caller:
    """Speaks from recordings in real time, silence between them, and keeps what it is told."""

    def __init__(self, speech: Path) -> None:
        self._speech = speech
        self._saying = bytearray()
        self._counts: dict[str, int] = {}
        self._said = ""
        self._changed = asyncio.Event()
        self._reply_ms = 0.0

    def say(self, name: str) -> None:
        """Say this recording next."""
        self._saying += (self._speech / f"{name}.pcm").read_bytes()

    async def frames(self) -> AsyncIterator[bytes]:
        """20 ms at a time, for as long as it is asked."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            frame = bytes(self._saying[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
            del self._saying[:FRAME_BYTES]
            yield frame
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    def tell(self, event: str, **fields: Any) -> None:
        """The client told its caller something."""
        self._counts[event] = self._counts.get(event, 0) + 1
        if event == "replied":
            self._said += fields["text"]
            fields["audio_ms"] = round(self._reply_ms)
            self._reply_ms = 0.0
        print(json.dumps({"event": event, **fields}), flush=True)
        self._changed.set()

    def hear(self, pcm: bytes, rate: int = RATE) -> None:
        """The client played this."""
        self._reply_ms += len(pcm) / 2 * 1000 / rate
        self._changed.set()

    async def until(self, event: str, count: int) -> None:
        """Until it was told that so often."""
        await self._until(lambda: self._counts.get(event, 0) >= count, f"{count} × {event}")

    async def until_said(self, text: str) -> None:
        """Until a reply with these words was over."""
        await self._until(lambda: text in self._said, text)

    async def until_playing(self) -> None:
        """Until enough of a reply was played to interrupt it."""
        await self._until(lambda: self._reply_ms >= HEARD_BEFORE_INTERRUPTING_MS, "a long reply")

    async def converse(self) -> None:
        """Ask, listen; ask again, interrupt the answer, listen."""
        self.say("question")
        await self.until("heard", 1)
        await self.until_said("It is raining.")
        self.say("question")
        await self.until("heard", 2)
        await self.until_playing()
        self.say("interruption")
        await self.until("interrupted", 1)
        await self.until("heard", 3)
        await self.until_said("I am listening.")

    async def _until(self, reached: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            told = f"was told {self._counts}, {self._said!r}"
            sys.exit(f"waited {PATIENCE_S} s for {what}, {told}")
