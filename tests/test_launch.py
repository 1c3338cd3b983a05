"""The launcher: its pure parts, and one start and stop of a graph of its own."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import launch
from launcher import LaunchError, graph, plan, ports, session

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from deployments import progress

STAND_IN = """
from fastapi import FastAPI, WebSocket
from ray import serve

api = FastAPI()


@serve.deployment
@serve.ingress(api)
class StandIn:
    @api.get("/readyz")
    def readyz(self):
        return {"ready": True, "stages": {"stt": "ready"}}

    @api.websocket("/ws")
    async def ws(self, socket: WebSocket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())


def build(_args):
    return StandIn.bind()


def refuse(_args):
    raise ValueError("the plan cannot work")
"""


def write_config(directory: Path, builder: str = "build") -> Path:
    """A Serve config beside the application it names."""
    (directory / "stand_in.py").write_text(STAND_IN)
    config = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [
            {
                "name": "stand-in",
                "route_prefix": "/",
                "import_path": f"stand_in:{builder}",
                "args": {},
                "deployments": [{"name": "StandIn", "ray_actor_options": {"num_cpus": 0.1}}],
            }
        ],
    }
    path = directory / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def plan_for(port: int, *, fast: bool = True) -> plan.Plan:
    """A plan at a port of this machine."""
    return plan.Plan(Path("serve_config.yaml"), "127.0.0.1", port, fast)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that another server listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def vacant_port() -> int:
    """A port that nothing listens on, outside the ranges that Ray and the system draw from."""
    choice = range(21_000, 29_000)
    return next(p for p in random.sample(choice, len(choice)) if ports.port_is_free("", p))


# --- configuration -----------------------------------------------------------------------------


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


def test_two_graphs_have_ports_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another has the usual ones: HAProxy's two, and that of the proxy behind it."""
    monkeypatch.setattr(plan, "free_port", lambda preferred: preferred + 1)
    ports = {name: v for name, v in plan.haproxy_places(tmp_path).items() if "_PORT" in name}
    assert ports == {
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": "8501",
        "RAY_SERVE_HAPROXY_METRICS_PORT": "9102",
        "RAY_SERVE_HAPROXY_STATS_PORT": "8405",
    }


def test_haproxys_socket_path_fits() -> None:
    """A Unix socket's path, with Ray's node id in it and HAProxy's suffix, is short enough."""
    run_dir = launch._temp_root() / "parley-12345678"
    path = Path(plan.haproxy_places(run_dir)["RAY_SERVE_HAPROXY_SOCKET_PATH"])
    assert len(str(path.parent / ("0" * 56) / path.name)) + len(".1234567.tmp") < 104


def test_no_graph_falls_back_to_anothers_proxy(tmp_path: Path) -> None:
    """Two that start at once, before either listens, have two fallbacks."""
    places = [plan.haproxy_places(tmp_path) for _ in range(2)]
    assert len({place["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"] for place in places}) == 2


# --- the port and the lock ---------------------------------------------------------------------


def test_a_port_in_use_is_not_free(taken_port: int) -> None:
    """A listening server is seen, and its absence too."""
    assert not ports.port_is_free("127.0.0.1", taken_port)
    assert ports.port_is_free("127.0.0.1", vacant_port())


def test_free_port_keeps_the_preferred_one_only_if_free(taken_port: int) -> None:
    """A side port moves out of the way."""
    vacant = vacant_port()
    assert ports.free_port(vacant) == vacant
    assert ports.free_port(taken_port) != taken_port


def test_claiming_a_taken_port_is_one_line(tmp_path: Path, taken_port: int) -> None:
    """The port is named, and what to do."""
    with (
        pytest.raises(LaunchError, match=f"port {taken_port} is taken.*--port") as refusal,
        ports.claimed("127.0.0.1", taken_port, tmp_path),
    ):
        pytest.fail("claimed a taken port")
    assert "\n" not in str(refusal.value)


def test_a_second_copy_is_told_of_the_first(tmp_path: Path) -> None:
    """The lock names the first copy's process, and is free once that is done."""
    port = vacant_port()
    with (
        ports.claimed("127.0.0.1", port, tmp_path),
        pytest.raises(LaunchError, match=rf"already running .*\b{os.getpid()}\b"),
        ports.claimed("127.0.0.1", port, tmp_path),
    ):
        pytest.fail("claimed twice")
    with ports.claimed("127.0.0.1", port, tmp_path):
        pass


# --- readiness and failure ---------------------------------------------------------------------


def test_nothing_is_ready_where_nothing_answers() -> None:
    """A refused connection is no readiness, and no error."""
    assert launch.readiness("127.0.0.1", vacant_port()) == {}


def test_what_the_graph_reports_is_read_back(tmp_path: Path) -> None:
    """Nothing before the first report; then the last one."""
    assert graph.reported(tmp_path) == {}
    graph.report(tmp_path, {"Ray": "up"})
    graph.report(tmp_path, {"Ray": "up", "SpeechToText": "updating"})
    assert graph.reported(tmp_path) == {"Ray": "up", "SpeechToText": "updating"}


def test_explain_says_a_refusal_alone() -> None:
    """What the builder refuses needs no traceback."""
    refused = "Traceback\n  File x\nserve_app.errors.ConfigError: this plan needs: a GPU\nlater\n"
    assert graph.explain(refused) == "this plan needs: a GPU"


def a_status(state: str, **deployments: str) -> Any:
    """Serve's status of one application."""
    parts = {n: SimpleNamespace(status=s, message=f"{n} said") for n, s in deployments.items()}
    application = SimpleNamespace(
        status=SimpleNamespace(value=state), message="", deployments=parts
    )
    return SimpleNamespace(applications={"parley": application})


@pytest.mark.parametrize(
    ("state", "told", "settled", "failure"),
    [
        ("DEPLOYING", {"tts": "loading"}, False, None),
        ("RUNNING", {}, True, None),
        ("DEPLOY_FAILED", {}, True, "Ingress said"),
        ("DEPLOYING", {"tts": "failed: no file"}, True, f"tts: no file. {graph.NEEDS_NOTHING}"),
    ],
)
def test_a_graph_is_watched_until_it_runs_or_cannot(
    tmp_path: Path, state: str, told: dict[str, str], settled: bool, failure: str | None
) -> None:
    """What its stages tell is passed on; a stage that cannot load ends it at once."""
    source = SimpleNamespace(told=lambda _name: told, reason=progress.reason)
    assert graph._settled(a_status(state, Ingress="UPDATING"), source, tmp_path) is settled
    assert graph.reported(tmp_path) == {"Ray": "up", "Ingress": "updating"} | told
    said = tmp_path / graph.FAILURE
    assert (graph.explain(said.read_text()) if said.exists() else None) in (
        failure,
        f"the graph ended: {failure}\n  {failure}",
    )


def test_explain_leads_with_the_exception() -> None:
    """The first line says why; colours and the lines before the end are cut."""
    text = (
        "noise\n" * 100 + "\x1b[36mTraceback\x1b[0m\n  File x\npkg.BadPlan: two GPUs: no\n\nlater\n"
    )
    lines = graph.explain(text).splitlines()
    assert lines[0] == "the graph ended: pkg.BadPlan: two GPUs: no"
    assert len(lines) == 1 + graph.LOG_TAIL_LINES
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no output"), ("just this\n", "just this"), ("a b: c\n", "a b: c")]
)
def test_explain_without_an_exception_gives_the_last_line(text: str, reason: str) -> None:
    """Something is always said."""
    assert graph.explain(text).splitlines()[0] == f"the graph ended: {reason}"


# --- a session's end ---------------------------------------------------------------------------


def test_end_session_ends_a_stubborn_child_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grandchild in a process group of its own that ignores SIGTERM ends too; others live."""
    monkeypatch.setattr(session, "STOP_GRACE_S", 0.1)
    inner = (
        "import os,signal;os.setpgid(0,0);signal.signal(signal.SIGTERM,signal.SIG_IGN);"
        "print('up',flush=True);signal.pause()"
    )
    outer = f"import subprocess,sys;subprocess.run([sys.executable,'-c',{inner!r}])"
    command = [sys.executable, "-c", outer]
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"up\n"
        assert len(session.session_members(leader.pid)) == 2
        session.end_session(leader.pid)
        assert session.session_members(leader.pid) == []
    assert other.poll() is None
    other.communicate(b"\n")


# --- the whole ---------------------------------------------------------------------------------


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
