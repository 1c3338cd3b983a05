"""A server for one load test: started by the launcher as `make run` does, gone afterwards."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from launcher.ports import free_port

ROOT: Final = Path(__file__).resolve().parent.parent
TIMED: Final = ROOT / "loadtest" / "timed.yaml"

_FIRST_PORT = 24_000
_STOPPING_S = 30.0


class GraphFailed(Exception):
    """The server did not start. The text is what the launcher said."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A server that takes calls at `url`; `session` holds its processes."""

    url: str
    session: int


@contextmanager
def running(python: str, config: Path = TIMED) -> Generator[Graph]:
    """A server of this config, by this interpreter. Raises GraphFailed."""
    port = free_port(_FIRST_PORT)
    launcher = subprocess.Popen(
        [python, "launch.py", "--config", str(config), "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for the load test, which then stops it.
    )
    try:
        _wait_until_ready(launcher)
        yield Graph(f"ws://127.0.0.1:{port}/ws", _session_of(launcher))
    finally:
        launcher.send_signal(signal.SIGINT)
        launcher.wait(_STOPPING_S)


def _wait_until_ready(launcher: subprocess.Popen[str]) -> None:
    assert launcher.stdout is not None
    said: list[str] = []
    for line in launcher.stdout:  # The launcher itself gives up in time.
        said.append(line)
        if line.startswith("Ready"):
            return
    raise GraphFailed("".join(said).strip())


def _session_of(launcher: subprocess.Popen[str]) -> int:
    """The session of the graph, whose leader is the launcher's child with `--graph`."""
    for child in psutil.Process(launcher.pid).children():
        if "--graph" in child.cmdline():
            return child.pid
    raise GraphFailed("the launcher has no graph")
