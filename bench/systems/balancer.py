"""Connections in turn to several copies of a server: what a peer needs to use a second core.

    python -m bench.systems.balancer --port 9000 --servers 2 -- python -m server …

Each copy is started with `--port` and a free port of its own, and ended with the balancer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import socket
from collections.abc import Sequence

import uvloop

CHUNK = 65_536
STOP_S = 5.0


async def balance(port: int, targets: Sequence[int], listening: asyncio.Event) -> None:
    """Listen until cancelled; the next connection goes to the next target."""
    turn = itertools.cycle(targets)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", next(turn))
        except OSError:
            writer.close()
            return
        for stream in (writer, far_writer):
            stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    listening.set()
    async with server:
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _run(port: int, servers: int, command: Sequence[str]) -> None:
    ports = [free_port() for _ in range(servers)]
    copies = [
        await asyncio.create_subprocess_exec(*command, "--port", str(target)) for target in ports
    ]
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            balancing = tasks.create_task(balance(port, ports, asyncio.Event()))
            await stopped.wait()
            balancing.cancel()
    finally:
        await asyncio.gather(*(_end(copy) for copy in copies))


async def _end(copy: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        copy.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await copy.wait()
        except TimeoutError:
            copy.kill()


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.systems.balancer")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command: list[str] = options.command
    uvloop.run(_run(options.port, options.servers, command[command[0] == "--" :]))
