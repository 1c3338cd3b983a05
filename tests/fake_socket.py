"""A client of the native protocol at the other end of a call's socket, driven by the test.

await client.speak(640)
await client.until("reply_done")
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.fakes import FRAME_MS


@dataclass(frozen=True, slots=True)
class Sent:
    """A message the client received. JSON has `fields`; audio is of kind `audio`, with `pcm`."""

    at: float
    kind: str
    fields: dict[str, Any]
    pcm: bytes = b""


_BINARY = {1: "audio", 2: "transcript", 3: "error_text", 4: "opus"}


class FakeSocket:
    """CallSocket: a native client at the other end, driven by the test.

    `blocked`: it does not read. `send_s`: how long it takes to read a message. `fails_with`:
    what sending to it raises. `vanish()`: it leaves; `break_off()`: and sending to it fails.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.closed_with: int | None = None
        self.closed_at: float | None = None
        self.blocked = False
        self.send_s = 0.0
        self.fails_with: Exception | None = None
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._arrived = asyncio.Event()

    # What the call does

    async def messages(self) -> AsyncIterator[str | bytes]:
        """See CallSocket."""
        while (message := await self._incoming.get()) is not None:
            yield message

    async def send_text(self, data: str) -> None:
        """See Socket."""
        fields = json.loads(data)
        await self._take(fields["type"], fields, b"")

    async def send_bytes(self, data: bytes) -> None:
        """See Socket."""
        kind = _BINARY.get(data[0])
        if kind is None:  # Another dialect's.
            await self._take("bytes", {}, data)
        elif kind in ("audio", "opus"):
            fields = {"rate": struct.unpack_from("<I", data, 1)[0]}
            await self._take(kind, fields, data[5:])
        else:
            await self._take(kind, {"text": data[1:].decode()}, b"")

    async def close(self, code: int) -> None:
        """See CallSocket."""
        if self.closed_with is None:
            self.closed_with = code
            self.closed_at = asyncio.get_running_loop().time()

    async def _take(self, kind: str, fields: dict[str, Any], pcm: bytes) -> None:
        if self.blocked:
            await asyncio.get_running_loop().create_future()
        if self.fails_with is not None:
            raise self.fails_with
        if self.send_s:
            await asyncio.sleep(self.send_s)
        assert self.closed_with is None, f"{kind} was sent after the close"
        self.sent.append(Sent(asyncio.get_running_loop().time(), kind, fields, pcm))
        self._arrived.set()

    # What the test does

    def say(self, message_type: str, **fields: object) -> None:
        """Send a JSON message."""
        self._incoming.put_nowait(json.dumps({"type": message_type, **fields}))

    def put(self, message: str | bytes) -> None:
        """Send a raw message."""
        self._incoming.put_nowait(message)

    def vanish(self) -> None:
        """Leave."""
        self._incoming.put_nowait(None)

    def break_off(self) -> None:
        """Leave, and fail whoever still sends."""
        self.fails_with = RuntimeError("the client is gone")
        self.vanish()

    async def speak(self, ms: int, sample: int = 1000) -> None:
        """Speak in real time, in frames of 32 ms of PCM16 at 16 kHz."""
        for _ in range(-(-ms // FRAME_MS)):
            await asyncio.sleep(FRAME_MS / 1000)
            self.put(struct.pack("<h", sample) * 512)

    async def be_silent(self, ms: int) -> None:
        """Send silence in real time."""
        await self.speak(ms, 0)

    async def turn(self, ms: int = 640, sample: int = 1000) -> None:
        """Speak and pause for long enough to end a turn."""
        await self.speak(ms, sample)
        await self.be_silent(600)

    async def until(self, kind: str, count: int = 1) -> Sent:
        """The `count`-th message of a kind, once it is there."""
        while len(found := self.of(kind)) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return found[count - 1]

    def of(self, kind: str) -> list[Sent]:
        """The messages of a kind."""
        return [message for message in self.sent if message.kind == kind]

    def since(self, at: float) -> list[Sent]:
        """What arrived later than `at`."""
        return [message for message in self.sent if message.at > at]

    @property
    def kinds(self) -> list[str]:
        """The kinds in order, runs of one kind as one."""
        kinds: list[str] = []
        for message in self.sent:
            if kinds[-1:] != [message.kind]:
                kinds.append(message.kind)
        return kinds

    @property
    def pcm(self) -> bytes:
        """All audio, joined."""
        return b"".join(message.pcm for message in self.of("audio"))

    @property
    def errors(self) -> list[str]:
        """The codes of the errors."""
        return [message.fields["code"] for message in self.of("error")]
