"""What is measured, and how each is started: a process whose WebSocket speaks the native protocol.

parley         the graph of this repository, started by launch.py, behind either front door
control        one asyncio process, the same stages, no framework: the floor
pipecat_bot    the peer, in a virtual environment of its own (requirements/bench.txt)
balancer       TCP connections in turn to several servers, for the peer in two processes
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidMessage

from bench.plan import stages
from bench.systems.balancer import free_port
from bench.systems.parley import Speculation, graph_config

ROOT = Path(__file__).resolve().parents[2]
READY_S = 180.0
STOP_S = 30.0
POLL_S = 0.5

FrontDoor: TypeAlias = Literal["fast", "default"]


@dataclass(frozen=True, slots=True)
class System:
    """One line of the comparison. `command`: (port, TTS slots, peer's Python, work directory).

    `judged`: Smart Turn has a say in every pause, so it is compared with its like alone.
    `most_calls`: rows above that say nothing that another system's do not.
    """

    name: str
    describes: str
    command: Callable[[int, int | None, Path, Path], list[str]]
    query: str = ""
    judged: bool = False
    most_calls: int | None = None

    def rows(self, calls: Sequence[int]) -> list[int]:
        """Those of these that say something."""
        return [each for each in calls if self.most_calls is None or each <= self.most_calls]


class NotReady(Exception):
    """A system did not answer in time, or ended; the text has the end of its log."""


def _parley(front_door: FrontDoor, speculation: Speculation, *, judged: bool = False) -> System:
    def command(port: int, slots: int | None, _peer: Path, work: Path) -> list[str]:
        config = work / "bench.yaml"
        config.write_text(graph_config(slots, speculation, judged=judged))
        launch = [sys.executable, str(ROOT / "launch.py"), "--config", str(config)]
        return [*launch, "--port", str(port), "--front-door", front_door]

    door = "HAProxy" if front_door == "fast" else "Serve's proxy"
    name = "parley" if front_door == "fast" else "parley-proxy"
    suffix = "" if speculation == "off" else f"-{speculation}"
    suffix += "-smart" if judged else ""
    about = f"Parley behind {door}, speculation {speculation}"
    about += ", Smart Turn" if judged else ""
    return System(name + suffix, about, command, "/ws?codec=pcm16&rate=16000", judged)


def _control(early: bool) -> System:
    def command(port: int, slots: int | None, _peer: Path, _work: Path) -> list[str]:
        settings = json.dumps(stages(slots))
        program = [sys.executable, "-m", "bench.systems.control", "--port", str(port)]
        return [*program, "--stages", settings, *(["--early"] if early else [])]

    if early:
        about = "the control, transcribing at 64 ms of silence"
        return System("control-early", about, command, most_calls=16)
    return System("control", "one asyncio process, no framework: the floor", command)


def _pipecat(processes: int, *, judged: bool = False) -> System:
    def command(port: int, slots: int | None, peer: Path, _work: Path) -> list[str]:
        each = max(1, slots // processes) if slots else None
        bot = [str(peer), "-m", "bench.systems.pipecat_bot", "--stages", json.dumps(stages(each))]
        bot += ["--smart-turn"] if judged else []
        if processes == 1:
            return [*bot, "--port", str(port)]
        balancer = [sys.executable, "-m", "bench.systems.balancer", "--port", str(port)]
        return [*balancer, "--servers", str(processes), "--", *bot]

    name = "pipecat" if processes == 1 else f"pipecat-x{processes}"
    many = "one process" if processes == 1 else f"{processes} processes behind a balancer"
    if judged:
        return System(f"{name}-smart", f"pipecat, its default, {many}", command, "/ws", judged)
    return System(name, f"pipecat, lowest-latency setting, {many}", command, "/ws")


SYSTEMS = (
    _control(early=False),
    _control(early=True),
    _parley("fast", "off"),
    _parley("fast", "reply"),
    _parley("default", "off"),
    _pipecat(1),
    _pipecat(2),
    _parley("fast", "off", judged=True),
    _parley("fast", "reply", judged=True),
    _pipecat(1, judged=True),
)


@dataclass(frozen=True, slots=True)
class Running:
    """A system that answers."""

    url: str
    root: int


@asynccontextmanager
async def running(system: System, slots: int | None, peer: Path) -> AsyncGenerator[Running, None]:
    """The system, started and answering; it has ended on the way out. Raises NotReady."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        log = Path(directory) / "log"
        server = _start(system.command(port, slots, peer, Path(directory)), log)
        try:
            url = f"ws://127.0.0.1:{port}{system.query}"
            if not await _answers(url, server):
                raise NotReady(f"{system.name} does not answer:\n{_tail(log)}")
            yield Running(url, server.pid)
        finally:
            _end(server)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


async def _answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + READY_S
    while loop.time() < give_up_at and server.poll() is None:
        try:
            async with connect(url, compression=None):
                return True
        except (OSError, InvalidHandshake, InvalidMessage, TimeoutError):
            await asyncio.sleep(POLL_S)
    return False


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
