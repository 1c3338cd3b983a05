"""A caller whose protocol is JSON messages: a live microphone, and all that it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.live_microphone import LiveMicrophone

Fields = dict[str, Any]


class JsonCaller:
    """`heard` are the messages in order. `frame` makes a message of 20 ms of int16 PCM."""

    def __init__(self, socket: ClientConnection, rate: int, frame: Callable[[bytes], Fields]):
        self.heard: list[Fields] = []
        self._socket = socket
        self._frame = frame
        self._microphone = LiveMicrophone(rate)
        self._changed = asyncio.Condition()
        self._seen = 0

    def speak(self, pcm: bytes) -> None:
        """Say this next, in real time; silence follows."""
        self._microphone.say(pcm)

    async def send(self, **fields: Any) -> None:
        """Send a message."""
        await self._socket.send(json.dumps(fields))

    async def until(self, wanted: Callable[[Fields], bool], limit_s: float = 20.0) -> Fields:
        """The next wanted message after the one returned before."""
        async with asyncio.timeout(limit_s), self._changed:
            while True:
                for at in range(self._seen, len(self.heard)):
                    if wanted(self.heard[at]):
                        self._seen = at + 1
                        return self.heard[at]
                await self._changed.wait()

    async def until_a(self, kind: str, limit_s: float = 20.0) -> Fields:
        """The next message of a type."""
        return await self.until(lambda fields: fields.get("type") == kind, limit_s)

    async def read(self) -> None:
        """Keep what comes until the connection is closed."""
        async for message in self._socket:
            async with self._changed:
                self.heard.append(json.loads(message))
                self._changed.notify_all()

    async def breathe(self) -> None:
        """Send the microphone's sound."""
        async with contextlib.aclosing(self._microphone.frames()) as frames:
            async for pcm in frames:
                await self._socket.send(json.dumps(self._frame(pcm)))


@contextlib.asynccontextmanager
async def json_call(
    url: str, rate: int, frame: Callable[[bytes], Fields], *hello: Fields, **options: Any
) -> AsyncIterator[JsonCaller]:
    """A call that begins with `hello` and is hung up on leaving."""
    async with connect(url, **options) as socket:
        for fields in hello:
            await socket.send(json.dumps(fields))
        caller = JsonCaller(socket, rate, frame)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(caller.read())
            breathing = tasks.create_task(caller.breathe())
            yield caller
            breathing.cancel()
            reading.cancel()
