"""A real graph for a test: started by the launcher, as a user would, and gone afterwards."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from launcher.session import session_members
from tests.launcher.vacant import vacant_port

ROOT = Path(__file__).resolve().parents[2]
PATIENT = Path(__file__).with_name("patient.yaml")
"""Laid over a config: the machine of a test may be busy with other tests."""


@dataclass(frozen=True)
class Graph:
    """A graph that accepts calls. `steps_file` is what tests/e2e/step_graph.py writes,
    `llm_port` where its allow-list has a model server."""

    host: str
    session: int
    steps_file: Path
    llm_port: int

    @property
    def url(self) -> str:
        """Where the native dialect answers."""
        return f"ws://{self.host}/ws"

    @property
    def ray_address(self) -> str:
        """Where its Ray cluster answers, as its raylet was told."""
        lines = [" ".join(process.cmdline()) for process in session_members(self.session)]
        found = [match[1] for line in lines if (match := re.search(r"--gcs-address=(\S+)", line))]
        return found[0]

    def replica(self, deployment: str) -> psutil.Process:
        """The process of a deployment's one replica."""
        found = self.replicas(deployment)
        assert len(found) == 1, f"{len(found)} processes of {deployment}"
        return found[0]

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas, by the title that Ray gives them."""
        title = f"ServeReplica:parley:{deployment}"
        return [p for p in session_members(self.session) if title in " ".join(p.cmdline())]

    def steps(self, stage: str) -> list[float]:
        """When a stage started its steps, by the monotonic clock, in order."""
        lines = self.steps_file.read_text().splitlines() if self.steps_file.exists() else []
        return sorted(float(line.split()[1]) for line in lines if line.split()[0] == stage)


@contextlib.contextmanager
def running(
    config: Path,
    front_door: str,
    directory: Path,
    llm_port: int = 0,
    *,
    more: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Graph]:
    """Start `config` behind a front door, with `more` options; stopped as Ctrl-C stops it."""
    port = vacant_port()
    steps_file = directory / "steps"
    options = ["--config", str(config), "--port", str(port), "--front-door", front_door]
    launcher = subprocess.Popen(
        [sys.executable, "launch.py", *options, *more],
        cwd=ROOT,
        env={
            "PARLEY_OVERRIDES": str(PATIENT),
            **os.environ,
            "PARLEY_TEST_STEPS": str(steps_file),
            **(environment or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_until_ready(launcher)
        yield Graph(f"127.0.0.1:{port}", _session_of(launcher), steps_file, llm_port)
    finally:
        launcher.send_signal(signal.SIGINT)
        launcher.wait(30)
        assert launcher.stdout is not None
        launcher.stdout.close()


def _wait_until_ready(launcher: "subprocess.Popen[str]") -> None:
    assert launcher.stdout is not None
    said: list[str] = []
    for line in launcher.stdout:  # The launcher itself gives up in time.
        said.append(line)
        if line.startswith("Ready"):
            return
    raise AssertionError(f"the graph did not start: {''.join(said)}{_log(said)}")


def _log(said: list[str]) -> str:
    found = re.search(r"the log is (\S+)", "".join(said))
    with contextlib.suppress(OSError):
        return Path(found[1]).read_text()[-4000:] if found else ""
    return ""


def _session_of(launcher: "subprocess.Popen[str]") -> int:
    """The session of the graph, whose leader is the launcher's child with `--graph`."""
    for child in psutil.Process(launcher.pid).children():
        if "--graph" in child.cmdline():
            return child.pid
    raise AssertionError("the launcher has no graph")
