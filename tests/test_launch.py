"""The launcher as a whole: a start and a stop of a graph of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import launch
from launcher import plan, ports
from tests.launcher.stand_in import write_config
from tests.launcher.vacant import vacant_port


def test_nothing_is_ready_where_nothing_answers() -> None:
    """A refused connection is no readiness, and no error."""
    assert launch.readiness("127.0.0.1", vacant_port()) == {}


@contextlib.contextmanager
def launched(config: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The launcher as `make run` starts it; its stop is the test's."""
    with subprocess.Popen(
        [sys.executable, str(plan.ROOT / "launch.py"), "--config", str(config), *options],
        env={**os.environ, "PYTHONPATH": str(config.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as launcher:
        yield launcher
        if launcher.poll() is None:
            launcher.kill()


def lines_until(launcher: subprocess.Popen[str], word: str) -> list[str]:
    """The launcher's lines up to the first that holds a word."""
    assert launcher.stdout is not None
    lines: list[str] = []
    for line in launcher.stdout:
        lines.append(line)
        if word in line:
            return lines
    pytest.fail("".join(lines))


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of these have ended within a few seconds."""
    return not psutil.wait_procs(processes, timeout=10)[1]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_graph_starts_answers_and_is_gone_after(tmp_path: Path, end: signal.Signals) -> None:
    """Ready means that it answers; after Ctrl-C, or the launcher's death, no process is left."""
    port = vacant_port()
    with launched(write_config(tmp_path), "--port", str(port)) as launcher:
        lines = lines_until(launcher, "Ready")
        assert f"ws://127.0.0.1:{port}/ws" in lines[-1]
        assert launch.readiness("127.0.0.1", port)["ready"] is True
        started = psutil.Process(launcher.pid).children(recursive=True)
        assert any("haproxy" in process.name() for process in started) == (sys.platform == "linux")
        launcher.send_signal(end)
        assert launcher.wait(timeout=20) == (0 if end == signal.SIGINT else -end)
        assert gone(started)
        assert ports.port_is_free("127.0.0.1", port)
        run_dir = Path(lines[0].rsplit(maxsplit=1)[1]).parent
        assert end == signal.SIGKILL or not run_dir.exists()


@pytest.mark.timeout(120)
def test_a_graph_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The first line holds the builder's words, the exit status is 1, nothing is left."""
    port = vacant_port()
    config = write_config(tmp_path, builder="refuse")
    with launched(config, "--port", str(port), "--front-door", "default") as launcher:
        lines = lines_until(launcher, "parley:")
        assert lines[-1] == "parley: the graph ended: ValueError: the plan cannot work\n"
        assert launcher.wait(timeout=20) == 1
    shutil.rmtree(Path(lines[0].rsplit(maxsplit=1)[1]).parent)


def test_a_taken_port_is_exit_status_1(tmp_path: Path, taken_port: int) -> None:
    """The command says it in one line and starts nothing."""
    with launched(write_config(tmp_path), "--port", str(taken_port)) as launcher:
        assert launcher.stdout is not None
        lines = launcher.stdout.readlines()
        assert launcher.wait(timeout=20) == 1
    assert len(lines) == 1
    assert "is taken" in lines[0]
