"""How a real graph comes up: in which order, what is told of it, and what if it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.graph import ROOT
from tests.launcher.vacant import vacant_port

pytestmark = pytest.mark.timeout(180)

CONFIG = """
proxy_location: HeadOnly
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - name: parley
    route_prefix: /
    import_path: tests.e2e.slow_graph:build
    args:
      stt: {backend: slow}
      llm: {backend: slow}
      tts: {backend: slow, settings: {fail: FAIL}}
"""


def launched(directory: Path, *, fail: bool) -> "subprocess.Popen[str]":
    """The launcher with that graph; its steps are written into the directory."""
    config = directory / "slow.yaml"
    config.write_text(CONFIG.replace("FAIL", str(fail).lower()))
    port = str(vacant_port())
    command = [sys.executable, "launch.py", "--config", str(config), "--port", port]
    return subprocess.Popen(
        [*command, "--front-door", "default"],
        cwd=ROOT,
        env={**os.environ, "PARLEY_TEST_STEPS": str(directory / "steps")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_model_loads_last(tmp_path: Path) -> None:
    """After both voices and the recogniser, however late they are; and that is told."""
    said: list[str] = []
    with launched(tmp_path, fail=False) as launcher:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            said.append(line)
            if line.startswith("Ready"):
                launcher.terminate()
    assert any("llm: waiting for" in line and "TextToSpeech" in line for line in said), said
    steps = sorted((tmp_path / "steps").read_text().splitlines(), key=lambda s: float(s.split()[1]))
    assert [step.split()[0] for step in steps] in (
        ["stt", "tts", "tts", "llm"],
        ["tts", "stt", "tts", "llm"],
    )


def test_a_model_that_cannot_be_fetched_ends_it_in_one_line(tmp_path: Path) -> None:
    """Which stage and which model; exit status 1, without waiting for the others."""
    with launched(tmp_path, fail=True) as launcher:
        said = launcher.communicate()[0].splitlines()
    assert said[-1].startswith("parley: tts: cannot fetch org/voice from the model hub. ")
    assert "make run (serve_config.embedded.yaml)" in said[-1]
    assert len([line for line in said if "org/voice" in line]) == 1
    assert launcher.returncode == 1
    assert not [line for line in said if line.startswith("Ready")]
    shutil.rmtree(Path(said[0].rsplit(maxsplit=1)[1]).parent)
