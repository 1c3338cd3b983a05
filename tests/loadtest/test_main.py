"""`make loadtest`: how locust is started."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtest.__main__ import _options, locust_command, main
from loadtest.graph import Graph

STARTED = Graph("ws://127.0.0.1:9/ws", 77)


def command(*arguments: str, graph: Graph = STARTED) -> str:
    """The command line."""
    return " ".join(locust_command(_options(arguments), graph))


def test_by_default_a_minute_against_the_timed_graph() -> None:
    """Its CPU counts, and its backends tell callers apart."""
    line = command()
    assert "--host ws://127.0.0.1:9/ws --users 6 " in line
    assert "--timed" in line
    assert "--server-session 77" in line
    assert "--run-time 60s" in line
    assert line.endswith("--headless --only-summary --loglevel WARNING")


def test_another_server_is_not_known_to_be_timed() -> None:
    """Nor is its session."""
    line = command("--url", "wss://example/ws", graph=Graph("wss://example/ws", 0))
    assert "--timed" not in line
    assert "--server-session" not in line


def test_a_ramp_ends_by_itself() -> None:
    """Without a time, with the shape beside the users."""
    line = command("--shape", "ramp", "--users", "40", "--step-users", "5")
    assert "-f loadtest/locustfile.py,loadtest/ramp.py" in line
    assert re.search("--users 40 .*--step-users 5 ", line)
    assert "--run-time" not in line


@pytest.mark.parametrize(("option", "said"), [("--ui", "--web-host 127.0.0.1")])
def test_locusts_page_is_for_this_machine(option: str, said: str) -> None:
    """It has no password."""
    assert command(option).endswith(said)


def test_objectives_that_cannot_be_used_start_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the file and what is wrong in it."""
    file = tmp_path / "slo.toml"
    file.write_text("[steady]\nfirst_sound = {at_most = 1}")
    assert main(["--slo", str(file), "--graph-python", "/nowhere"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"loadtest: {file}: unknown figure 'first_sound'")
