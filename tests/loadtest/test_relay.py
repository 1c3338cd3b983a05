"""A relay passes on, until it is cut."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.relay import relay


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, in capitals."""
    while piece := await reader.read(100):
        writer.write(piece.upper())
    writer.close()


async def test_what_is_sent_arrives_and_comes_back_until_the_cut() -> None:
    """Then both ends see their connection break; another can be made."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws?rate=1"
    async with relay(url) as (through, way):
        assert through.endswith("/ws?rate=1")
        port = int(through.split(":")[2].partition("/")[0])
        for word in (b"one", b"two"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(word)
            assert await reader.readexactly(3) == word.upper()
            way.cut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
    server.close()
    await server.wait_closed()
