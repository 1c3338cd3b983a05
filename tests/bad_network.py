"""A way to a server that is as bad as networks are: late, jerky, narrow, or dead in several ways.

It carries the bytes of TCP connections, so faults are what TCP makes of them: a lost packet is a
stall, after which all comes in order.

async with bad_network(url, Weather(latency_s=0.1)) as (way, network), connect(way) as socket:
    network.reset()
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

PIECE = 1_400
"""Bytes carried at once: what fits in a packet."""
ON_THE_WAY = 32
"""Pieces that may be under way in one direction. Overflow policy: no more is read."""
BUFFER = 16_384
"""Of the kernel and of a stream, each: whoever sends to a slow reader is to feel it."""
LINGER_0 = struct.pack("ii", 1, 0)
"""A socket that is closed with it sends RST, and nothing that was still to go."""


@dataclass(frozen=True)
class Weather:
    """What each direction is like.

    A piece takes `latency_s` and up to `jitter_s` more; one in `loss_every` is lost, and it and all
    behind it wait for `stall_s` (from, to). `up_rate`, `down_rate`: bytes per second to the server
    and to the client, None: any. A `down_rate` below that of speech makes a slow reader.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss_every: int | None = None
    stall_s: tuple[float, float] = (0.2, 1.0)
    up_rate: float | None = None
    down_rate: float | None = None


class Delays:
    """When each piece of one direction arrives: in order, and the same for the same seed. Pure."""

    def __init__(self, weather: Weather, rate: float | None, seed: str) -> None:
        self._weather = weather
        self._rate = rate
        self._chance = random.Random(seed)
        self._sent_by = 0.0
        self._last = 0.0

    def arrival(self, now: float, size: int) -> float:
        """Of a piece of so many bytes that is sent now."""
        weather = self._weather
        if self._rate:
            self._sent_by = max(self._sent_by, now) + size / self._rate
        else:
            self._sent_by = now
        late_s = weather.latency_s + self._chance.uniform(0.0, weather.jitter_s)
        if weather.loss_every and self._chance.randrange(weather.loss_every) == 0:
            late_s += self._chance.uniform(*weather.stall_s)
        self._last = max(self._last, self._sent_by + late_s)
        return self._last


class _Direction:
    """One direction of a connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delays: Delays,
        moving: asyncio.Event,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._delays = delays
        self._moving = moving
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)
        self.cut_next = False
        """The next piece goes without its last byte, and then comes the end."""

    async def carry(self) -> None:
        """Until the end of what is sent was passed on. Raises OSError where an end broke off."""
        async with asyncio.TaskGroup() as tasks:
            departing = tasks.create_task(self._depart())
            await self._arrive()
            departing.cancel()

    async def _depart(self) -> None:
        piece = b"-"
        while piece:
            await self._moving.wait()
            piece = await self._reader.read(PIECE)
            now = asyncio.get_running_loop().time()
            await self._under_way.put((self._delays.arrival(now, len(piece)), piece))

    async def _arrive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await self._under_way.get()
            await asyncio.sleep(due - loop.time())
            await self._moving.wait()
            cut = self.cut_next
            self._writer.write(piece[:-1] if cut else piece)
            if cut or not piece:
                self._writer.write_eof()
                return
            await self._writer.drain()


class _Connection:
    """One connection: both its ends, and what is under way between them."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        weather: Weather,
        seed: str,
    ) -> None:
        self.moving = asyncio.Event()
        self.moving.set()
        self._writers = client[1], server[1]
        up = Delays(weather, weather.up_rate, f"up {seed}")
        down = Delays(weather, weather.down_rate, f"down {seed}")
        self.up = _Direction(client[0], server[1], up, self.moving)
        self._down = _Direction(server[0], client[1], down, self.moving)

    async def carry(self) -> None:
        """Until both ends have said theirs, or one broke off: so does the other then."""
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self.up.carry())
                directions.create_task(self._down.carry())
            for writer in self._writers:
                writer.close()
                await writer.wait_closed()
        except* OSError:
            self.reset()
        finally:
            for writer in self._writers:
                writer.transport.abort()

    def reset(self) -> None:
        """RST to both ends."""
        for writer in self._writers:
            if not writer.transport.is_closing():
                handle: socket.socket = writer.get_extra_info("socket")
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            writer.transport.abort()


class BadNetwork:
    """Its methods make faults in the connections that there are; later ones are carried as the
    weather is. Use `bad_network`."""

    def __init__(self, host: str, port: int, weather: Weather, tasks: asyncio.TaskGroup) -> None:
        self._server = host, port
        self._weather = weather
        self._tasks = tasks
        self._met = 0
        self._open: dict[_Connection, asyncio.Task[None]] = {}
        self._meeting: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Half-open: nothing is carried any more in any direction, and no end is told."""
        for connection in self._open:
            connection.moving.clear()

    def reset(self) -> None:
        """Both ends are reset."""
        for connection, carrying in self._open.items():
            connection.reset()
            carrying.cancel()

    def cut_short(self) -> None:
        """FIN in the middle of the message that the client sends next."""
        for connection in self._open:
            connection.up.cut_next = True

    def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a new connection."""
        task = self._tasks.create_task(self._carry(reader, writer))
        self._meeting.add(task)
        task.add_done_callback(self._meeting.discard)

    def end(self) -> None:
        """Carry nothing any more."""
        for task in self._meeting:
            task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._met += 1
        seed = str(self._met)
        try:
            server = await _connected(*self._server)
        except OSError:  # What the client would be told without a network between.
            writer.transport.abort()
            return
        connection = _Connection((reader, writer), server, self._weather, seed)
        task = asyncio.current_task()
        assert task is not None, "the loop runs it"
        self._open[connection] = task
        try:
            await connection.carry()
        finally:
            del self._open[connection]


async def _connected(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    handle = socket.socket()
    try:
        _shrink(handle)
        handle.setblocking(False)
        await asyncio.get_running_loop().sock_connect(handle, (host, port))
        return await asyncio.open_connection(sock=handle, limit=BUFFER)
    except BaseException:
        handle.close()
        raise


def _shrink(handle: socket.socket) -> None:
    """Before it is connected: the window that is offered comes of it."""
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        handle.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)


@contextlib.asynccontextmanager
async def bad_network(
    url: str, weather: Weather | None = None
) -> AsyncGenerator[tuple[str, BadNetwork], None]:
    """The URL that leads through it to where `url` leads, by name or port; and the network."""
    parts = urlsplit(url)
    listening = socket.create_server(("127.0.0.1", 0))
    _shrink(listening)
    async with asyncio.TaskGroup() as tasks:
        network = BadNetwork(
            parts.hostname or "127.0.0.1", parts.port or 80, weather or Weather(), tasks
        )
        server = await asyncio.start_server(network.meet, sock=listening, limit=BUFFER)
        try:
            port = listening.getsockname()[1]
            yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}")), network
        finally:
            server.close()
            network.end()
