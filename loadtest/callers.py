"""A process that holds the calls of one locust worker: `python -m loadtest.callers`.

locust runs on gevent and patches the standard library; the client library is asyncio's, and its
timing is what is measured. So the calls live in a process of their own with a plain event loop,
and neither's scheduling is in the other's figures. Orders come on stdin, `start 7` and `stop 7`;
records go to stdout, a line each. A call that ends says so: `ended 7`. At the end of stdin all
calls are stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

import uvloop

from clients.sample_voice import SampleVoiceMissing
from loadtest.call import Call, Server
from loadtest.clips import Clips, make_clips
from loadtest.records import Failure, Record, Second, to_line
from loadtest.scenario import LINES, plan_of

KEY_VARIABLE: Final = "PARLEY_API_KEY"
READY: Final = "ready"
ENDED: Final = "ended"
TICK_S: Final = 0.05
"""The event loop is asked so often how late it is."""


class Callers:
    """The calls of this process. `write` takes a line."""

    def __init__(self, server: Server, clips: Clips, write: Callable[[str], None]) -> None:
        self._server = server
        self._clips = clips
        self._write = write
        self._calls: dict[int, tuple[Call, asyncio.Task[None]]] = {}

    def report(self, record: Record) -> None:
        """Send a record."""
        self._write(to_line(record))

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Obey until there are no more orders."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            while line := await orders.readline():
                order, number = line.split()
                if order == b"start":
                    self._start(tasks, int(number))
                elif (found := self._calls.get(int(number))) is not None:
                    found[1].cancel()
            for _, task in self._calls.values():
                task.cancel()
            watching.cancel()

    def _start(self, tasks: asyncio.TaskGroup, number: int) -> None:
        plan = plan_of(number, len(self._clips), may_lose_connection=self._server.way_can_be_cut)
        call = Call(plan, self._server, self._clips, self.report)
        self._calls[number] = call, tasks.create_task(self._hold(number, call, plan.line.name))

    async def _hold(self, number: int, call: Call, line: str) -> None:
        try:
            await call.run()
        except Exception as error:  # noqa: BLE001  one call's fault must not end the others
            self.report(Failure(time.time(), number, line, "fault of the caller", repr(error)))
        finally:
            del self._calls[number]
            self._write(f"{ENDED} {number}")

    async def _watch(self) -> None:
        """Say every second how late this event loop is: the callers' own part in the figures."""
        while True:
            late_ms: list[float] = []
            until = time.perf_counter() + 1.0
            while (before := time.perf_counter()) < until:
                await asyncio.sleep(TICK_S)
                late_ms.append(max(0.0, (time.perf_counter() - before - TICK_S) * 1000))
            trips = [ms for call, _ in self._calls.values() for ms in call.round_trips_ms()]
            calls = len(self._calls)
            self.report(Second(time.time(), str(os.getpid()), calls, late_ms, trips))


def main() -> int:
    """0, or 1 with one line where the voice cannot be made."""
    parser = argparse.ArgumentParser(prog="loadtest.callers", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--timed", action="store_true", help="the server runs timed.yaml")
    options = parser.parse_args()
    server = Server(options.url, options.timed, os.environ.get(KEY_VARIABLE) or None)
    try:
        clips = make_clips(sorted({line.rate for line in LINES}))
    except SampleVoiceMissing as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    uvloop.run(_serve(server, clips, sys.stdin, sys.stdout))
    return 0


async def _serve(server: Server, clips: Clips, orders: TextIO, records: TextIO) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), orders
    )

    def write(line: str) -> None:
        records.write(f"{line}\n")
        records.flush()

    write(READY)
    await Callers(server, clips, write).run(reader)


if __name__ == "__main__":
    sys.exit(main())
