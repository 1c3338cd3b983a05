"""A way to a server that can be cut like a network: connections go through it, until they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_PIECE: Final = 65_536


class Relay:
    """Use `relay`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Every connection breaks now, without a word to either end."""
        for writer in self._open:
            writer.transport.abort()

    async def carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, until an end closes it or it is cut."""
        try:
            far, forth = await asyncio.open_connection(self._host, self._port)
        except OSError:
            back.transport.abort()
            return
        self._open |= {back, forth}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_pass_on(near, forth))
                ways.create_task(_pass_on(far, back))
        finally:
            self._open -= {back, forth}
            for writer in (back, forth):
                writer.transport.abort()


@asynccontextmanager
async def relay(url: str) -> AsyncGenerator[tuple[str, Relay]]:
    """A relay to where a `ws://` URL leads, and the URL that leads through it."""
    parts = urlsplit(url)
    way = Relay(parts.hostname or "127.0.0.1", parts.port or 80)
    server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}")), way
    finally:
        server.close()
        way.cut()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):  # It was cut.
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()  # What is written still goes out; the other way then ends as well.
