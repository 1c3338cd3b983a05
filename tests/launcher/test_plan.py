"""What is started, where, and with which environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import launch
from launcher import LaunchError, plan
from tests.launcher.stand_in import write_config


def plan_for(port: int, *, fast: bool = True) -> plan.Plan:
    """A plan at a port of this machine."""
    return plan.Plan(Path("serve_config.yaml"), "127.0.0.1", port, fast)


def test_parse_env_reads_names_and_values() -> None:
    """Comments and blank lines are skipped, and a value may hold an equals sign."""
    assert plan.parse_env("# why\n\nA=1\n B = x=y \n") == {"A": "1", "B": "x=y"}


@pytest.mark.parametrize("line", ["A", "=1", "A B=1", "export A=1"])
def test_parse_env_names_the_bad_line(line: str) -> None:
    """A line that is not NAME=value is refused by its number."""
    with pytest.raises(LaunchError, match="line 2"):
        plan.parse_env(f"OK=1\n{line}\n")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,12}", fullmatch=True),
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"])),
    )
)
def test_parse_env_gives_back_what_was_written(values: dict[str, str]) -> None:
    """Any names and values without spaces survive being written and read."""
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    assert plan.parse_env(text) == values


def test_the_flags_file_turns_the_fast_front_door_on() -> None:
    """serve.env itself parses and holds the two flags that choose the front door."""
    flags = plan.parse_env((plan.ROOT / "serve.env").read_text())
    assert flags["RAY_SERVE_ENABLE_HA_PROXY"] == flags["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"


def test_http_address_has_serves_defaults() -> None:
    """A config without http_options answers where Serve would."""
    assert plan.http_address({}) == ("127.0.0.1", 8000)
    assert plan.http_address({"http_options": {"port": 9}}) == ("127.0.0.1", 9)


def test_with_address_changes_the_address_alone() -> None:
    """The derived config differs in its host and port, and the given one is not touched."""
    config = {"http_options": {"host": "h", "port": 1, "x": 3}, "applications": ["a"]}
    derived = plan.with_address(config, "i", 2)
    assert derived == {"http_options": {"host": "i", "port": 2, "x": 3}, "applications": ["a"]}
    assert config["http_options"] == {"host": "h", "port": 1, "x": 3}


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    """Host and port, each by itself."""
    config = write_config(tmp_path)
    assert plan.plan_of(config, None, None, "fast").address == "127.0.0.1:8000"
    assert plan.plan_of(config, "0.0.0.0", None, "fast").address == "0.0.0.0:8000"
    assert plan.plan_of(config, None, 9, "default").address == "127.0.0.1:9"


@pytest.mark.parametrize("content", ["- a\n", "a: 1\n", "a: [1\n", ""])
def test_read_config_refuses_what_is_no_serve_config(tmp_path: Path, content: str) -> None:
    """One line that names the file."""
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(LaunchError, match=r"c\.yaml") as refusal:
        plan.read_config(path)
    assert "\n" not in str(refusal.value)


def test_read_config_names_a_missing_file(tmp_path: Path) -> None:
    """A path that is not there is named."""
    with pytest.raises(LaunchError, match=r"cannot read .*nowhere\.yaml"):
        plan.read_config(tmp_path / "nowhere.yaml")


def test_the_environment_belongs_to_this_run_alone(tmp_path: Path) -> None:
    """Another Ray's address is dropped, and every path of ours is in the run's directory."""
    environment = plan.graph_environment(
        plan_for(8000), tmp_path, {"RAY_ADDRESS": "elsewhere:1", "PYTHONPATH": "/mine"}
    )
    assert "RAY_ADDRESS" not in environment
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(plan.ROOT), "/mine"]
    assert environment["RAY_TMPDIR"] == str(tmp_path)
    places = [value for name, value in environment.items() if name.endswith(("_LOC", "_PATH"))]
    ours = [place for place in places if "sock" in place or "cfg" in place]
    assert len(ours) == 3
    assert all(place.startswith(str(tmp_path)) for place in ours)


def test_the_callers_flags_win_over_the_file(tmp_path: Path) -> None:
    """A flag set in the environment is kept."""
    flag = "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"
    environment = plan.graph_environment(plan_for(8000), tmp_path, {flag: "7"})
    assert environment[flag] == "7"


def test_the_default_front_door_sets_no_flag(tmp_path: Path) -> None:
    """Serve's own proxy runs without any flag of serve.env."""
    environment = plan.graph_environment(plan_for(8000, fast=False), tmp_path, {})
    assert not [name for name in environment if name.startswith("RAY_SERVE_")]


def test_haproxys_socket_path_fits() -> None:
    """A Unix socket's path, with Ray's node id in it and HAProxy's suffix, is short enough."""
    run_dir = launch._temp_root() / "parley-12345678"
    path = Path(plan.haproxy_places(run_dir)["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    assert len(str(path.parent / ("0" * 56) / path.name)) + len(".1234567.tmp") < 104


def test_two_graphs_share_no_fallback(tmp_path: Path) -> None:
    """Each has a port of its own for the calls that no replica answers."""
    fallback = "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"
    first, second = (
        plan.graph_environment(plan_for(port), tmp_path, {})[fallback] for port in (21_000, 21_001)
    )
    assert first != second
