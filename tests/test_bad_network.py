"""The network that tests break: what it carries, and what each of its faults is to both ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.bad_network import LINGER_0, BadNetwork, Delays, Weather, bad_network

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
AWFUL = Weather(latency_s=0.01, jitter_s=0.02, loss_every=5, stall_s=(0.01, 0.05))
LOT = 40_000_000
"""More than the kernel takes of a sender, a few MB on the same machine."""


@dataclass
class Server:
    """Keeps the server's ends of its connections."""

    url: str
    met: asyncio.Queue[Stream] = field(default_factory=asyncio.Queue)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that does nothing by itself."""
    ends: list[Stream] = []

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append((reader, writer))
        told.met.put_nowait((reader, writer))

    listening = await asyncio.start_server(meet, "127.0.0.1", 0)
    told = Server(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws")
    yield told
    listening.close()
    for _, writer in ends:
        writer.transport.abort()


@asynccontextmanager
async def carried(
    server: Server, weather: Weather | None = None
) -> AsyncGenerator[tuple[BadNetwork, Stream, Stream], None]:
    """The network, the client's end and the server's end of one connection."""
    async with bad_network(server.url, weather) as (url, network), between(server, url) as ends:
        yield network, *ends


@asynccontextmanager
async def between(server: Server, url: str) -> AsyncGenerator[tuple[Stream, Stream], None]:
    """The two ends of a connection by this URL."""
    near = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    try:
        far = await server.met.get()
        near[1].write(b"-")
        await far[0].readexactly(1)  # It is carried.
        yield near, far
    finally:
        near[1].transport.abort()


async def test_what_is_sent_arrives_whole_and_in_order(server: Server) -> None:
    """Both ways, late and with losses; then each end is told of the other's end."""
    sent = bytes(range(256)) * 80
    async with carried(server, AWFUL) as (_, near, far):
        for (_, writer), (reader, _) in ((near, far), (far, near)):
            writer.write(sent)
            writer.write_eof()
            assert await reader.read(-1) == sent


def arrivals(weather: Weather, *, rate: float | None = None, seed: str = "1") -> list[float]:
    """Of a piece each 10 ms."""
    delays = Delays(weather, rate, seed)
    return [delays.arrival(count / 100, 100) for count in range(500)]


def test_delays_are_in_order_and_within_bounds() -> None:
    """No piece overtakes, comes early, or later than latency, jitter and a stall have it."""
    late = arrivals(Weather(latency_s=0.1, jitter_s=0.05, loss_every=50))
    assert late == sorted(late)
    after = [at - count / 100 for count, at in enumerate(late)]
    assert min(after) >= 0.1
    assert 0.3 <= max(after) <= 1.15


def test_the_same_seed_makes_the_same_delays() -> None:
    """A failure can be made again."""
    weather = Weather(jitter_s=0.05, loss_every=50)
    assert arrivals(weather) == arrivals(weather)
    assert arrivals(weather) != arrivals(weather, seed="2")


def test_a_narrow_way_takes_its_time() -> None:
    """A hundred bytes a piece at 5,000 a second: 20 ms each, one after the other."""
    assert arrivals(Weather(), rate=5_000)[-1] == pytest.approx(500 * 0.02)
    assert arrivals(Weather(), rate=20_000)[-1] == pytest.approx(4.99 + 0.005)


async def test_frozen_is_neither_carried_nor_told(server: Server) -> None:
    """Nothing comes any more, at no end; another connection is carried meanwhile."""
    async with bad_network(server.url) as (url, network), between(server, url) as (near, far):
        network.freeze()
        near[1].write(b"lost")
        far[1].write(b"lost")
        waiting = [asyncio.ensure_future(end[0].read(1)) for end in (near, far)]
        async with between(server, url) as (other, its):
            other[1].write(b"ping")
            await its[0].readexactly(4)
            its[1].write(b"pong")
            await other[0].readexactly(4)
        assert [read.done() for read in waiting] == [False, False]
        for read in waiting:
            read.cancel()
        await asyncio.wait(waiting)


async def test_reset_is_reset_at_both_ends(server: Server) -> None:
    """Not an orderly end."""
    async with carried(server) as (network, near, far):
        network.reset()
        for reader, _ in (near, far):
            with pytest.raises(ConnectionResetError):
                await reader.read(1)


async def test_an_end_that_breaks_off_is_told_to_the_other(server: Server) -> None:
    """A client's reset is one for the server too."""
    async with carried(server) as (_, near, far):
        handle: socket.socket = near[1].get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        near[1].transport.abort()
        with pytest.raises(ConnectionResetError):
            await far[0].read(-1)


async def test_cut_short_is_an_end_in_the_middle(server: Server) -> None:
    """All but the last byte, and then the end."""
    async with carried(server) as (network, near, far):
        network.cut_short()
        near[1].write(b"a message")
        assert await far[0].read(-1) == b"a messag"


async def test_a_slow_reader_is_felt_by_who_sends(server: Server) -> None:
    """What is under way to it is bounded: most of what is to be sent waits at the sender."""
    written = 0

    async def send(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        for _ in range(LOT // 1_000):
            writer.write(bytes(1_000))
            await writer.drain()
            written += 1_000

    async with carried(server, Weather(down_rate=100_000)) as (_, near, far):
        sending = asyncio.ensure_future(send(far[1]))
        await near[0].readexactly(50_000)
        assert written < LOT / 2
        sending.cancel()
        await asyncio.wait([sending])


async def test_a_server_that_is_not_there() -> None:
    """The client is hung up on."""
    async with bad_network("ws://127.0.0.1:1") as (url, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        assert await reader.read(1) == b""
        writer.close()
