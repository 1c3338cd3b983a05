"""The balancer in front of a peer's processes."""

import asyncio

from bench.systems.balancer import balance, free_port


async def test_connections_go_in_turn() -> None:
    """Four connections reach two servers twice each, and bytes pass both ways."""
    ports = [free_port(), free_port()]

    def named(name: bytes):
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(name + await reader.readexactly(2))
            await writer.drain()
            writer.close()

        return answer

    front = free_port()
    servers = [
        await asyncio.start_server(named(name), "127.0.0.1", port)
        for name, port in zip((b"a", b"b"), ports, strict=True)
    ]
    listening = asyncio.Event()
    balancing = asyncio.ensure_future(balance(front, ports, listening))
    await listening.wait()
    answers: list[bytes] = []
    for _ in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", front)
        writer.write(b"hi")
        answers.append(await reader.read())
        writer.close()
        await writer.wait_closed()
    balancing.cancel()
    await asyncio.wait([balancing])
    for server in servers:
        server.close()
        await server.wait_closed()
    assert sorted(answers) == [b"ahi", b"ahi", b"bhi", b"bhi"]
    assert answers[0] != answers[1]
