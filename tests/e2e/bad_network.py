"""A way to a server that is as bad as networks are: late, jerky, slow, or suddenly dead.

It carries the bytes of TCP connections, so what a lossy network does is seen as TCP shows it: the
bytes come in order, some of them late.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

PIECE = 1_400
"""Bytes carried at once: what fits in a packet."""
ON_THE_WAY = 256
"""Pieces that may be on their way in one direction; a sender waits when there are more."""
SMALL_BUFFER = 8_192
"""Of the sockets, so that whoever sends to a slow reader feels it."""


@dataclass(frozen=True)
class Weather:
    """Each way: `delay_s` for every piece and up to `jitter_s` more; one in `lost_in` is sent again
    `again_s` later, and all behind it wait. `down_rate`: bytes per s to the client; None: any."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    lost_in: int | None = None
    again_s: float = 0.3
    down_rate: float | None = None


class BadNetwork:
    """Use `bad_network`."""

    def __init__(self, host: str, port: int, weather: Weather) -> None:
        self._server = host, port
        self._weather = weather
        self._chance = random.Random(1)
        self._alive: list[asyncio.Event] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Nothing of the connections that there are is carried any more, and no end is told."""
        for alive in self._alive:
            alive.clear()

    async def end(self) -> None:
        """All connections break."""
        for writer in self._open:
            writer.transport.abort()
        for task in self._carrying:
            task.cancel()
        if self._carrying:
            await asyncio.wait(self._carrying)

    def meet(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry a new connection."""
        task = asyncio.ensure_future(self._carry(near, back))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection(*self._server, limit=SMALL_BUFFER)
        for end in (back, forth):
            _shrink(end)
        alive = asyncio.Event()
        alive.set()
        self._alive.append(alive)
        self._open |= {back, forth}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass_on(near, forth, alive, None))
                ways.create_task(self._pass_on(far, back, alive, self._weather.down_rate))
        finally:
            self._open -= {back, forth}
            for writer in (back, forth):
                writer.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        alive: asyncio.Event,
        rate: float | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)

        async def arrive() -> None:
            while True:
                due, piece = await way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await alive.wait()
                if not piece:
                    writer.close()
                    return
                writer.write(piece)
                await writer.drain()

        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(arrive())
                due, piece = 0.0, b"-"
                while piece:
                    piece = await reader.read(PIECE)
                    due = max(due, loop.time() + self._late_s())
                    await way.put((due, piece))
                    if rate:
                        await asyncio.sleep(len(piece) / rate)
        except* ConnectionError:
            pass  # It was cut, or an end is gone: the other is told by `carry`.

    def _late_s(self) -> float:
        weather = self._weather
        late_s = weather.delay_s + self._chance.uniform(0.0, weather.jitter_s)
        lost = weather.lost_in is not None and self._chance.randrange(weather.lost_in) == 0
        return late_s + (weather.again_s if lost else 0.0)


def _shrink(writer: asyncio.StreamWriter) -> None:
    handle: socket.socket = writer.get_extra_info("socket")
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        handle.setsockopt(socket.SOL_SOCKET, buffer, SMALL_BUFFER)


@contextlib.asynccontextmanager
async def bad_network(
    url: str, weather: Weather | None = None
) -> AsyncIterator[tuple[str, BadNetwork]]:
    """The URL that leads through it to where a `ws://` URL leads, and the network."""
    parts = urlsplit(url)
    network = BadNetwork(parts.hostname or "127.0.0.1", parts.port or 80, weather or Weather())
    server = await asyncio.start_server(network.meet, "127.0.0.1", 0, limit=SMALL_BUFFER)
    try:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}")), network
    finally:
        server.close()
        await network.end()
