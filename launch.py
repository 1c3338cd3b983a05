"""Runs the graph of a config file on this machine: `make run`. Knows Ray only in a child.

    launcher   checks port and lock, starts the others, waits for /readyz, prints, stops all
    graph      the leader of a session of its own: Ray's head, Serve, the deployments; every
               process that Ray starts stays in that session, and is ended with it
    keeper     ends that session if the launcher dies without a word

Another Ray on this machine is left alone: ports are free ones, files live in a directory of
this run, and nothing is ever stopped by name.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import importlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, cast

import psutil
import yaml

ROOT = Path(__file__).resolve().parent
READY_DEADLINE_S = 180.0
POLL_S = 0.1
STATUS_S = 0.5
STOP_GRACE_S = 3.0
OBJECT_STORE_BYTES = 100_000_000
LOG_TAIL_LINES = 15
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class LaunchError(Exception):
    """The graph cannot run; the message is one line for the person at the terminal."""


class Stopped(Exception):
    """A signal asked the launcher to stop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the config file, where it answers, and through which front door."""

    config: Path
    host: str
    port: int
    fast: bool

    @property
    def address(self) -> str:
        """Host and port as clients write them."""
        return f"{self.host}:{self.port}"


def main(argv: list[str] | None = None) -> int:
    """Run until stopped. 0 after Ctrl-C or SIGTERM, 1 with one line on stderr otherwise."""
    options = _parse(argv)
    if options.graph:
        return _run_graph(options.config, Path(options.graph))
    if options.keep:
        return _keep(sys.stdin)
    try:
        _launch(_plan(Path(options.config), options.port, options.front_door))
    except LaunchError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1
    except Stopped:
        print("Stopped.")
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch.py", description="Run the graph here.")
    parser.add_argument("--config", default=str(ROOT / "serve_config.embedded.yaml"))
    parser.add_argument("--port", type=int, help="in place of the config file's")
    parser.add_argument(
        "--front-door",
        choices=("fast", "default"),
        default="fast" if sys.platform == "linux" else "default",
        help="fast: HAProxy with the flags of serve.env (Linux); default: Serve's own proxy",
    )
    parser.add_argument("--graph", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


# --- what to run -------------------------------------------------------------------------------


def _plan(config: Path, port: int | None, front_door: str) -> Plan:
    host, configured = http_address(read_config(config))
    return Plan(config.resolve(), host, port or configured, front_door == "fast")


def read_config(path: Path) -> dict[str, Any]:
    """The Serve config in a file. Raises LaunchError where it is none."""
    try:
        loaded = yaml.safe_load(path.read_text())
    except OSError as error:
        raise LaunchError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise LaunchError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict) or "applications" not in loaded:
        raise LaunchError(f"{path} is not a Serve config: it has no `applications`")
    return cast(dict[str, Any], loaded)


def http_address(config: Mapping[str, Any]) -> tuple[str, int]:
    """Host and port of a Serve config, with Serve's defaults."""
    options: dict[str, Any] = config.get("http_options") or {}
    return options.get("host", "127.0.0.1"), options.get("port", 8000)


def with_port(config: Mapping[str, Any], port: int) -> dict[str, Any]:
    """The same config, answering on another port."""
    return {**config, "http_options": {**(config.get("http_options") or {}), "port": port}}


def parse_env(text: str) -> dict[str, str]:
    """The NAME=value lines of an env file. Raises LaunchError at a line that is neither."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise LaunchError(f"serve.env, line {number}: NAME=value expected")
        values[name.strip()] = value.strip()
    return values


def graph_environment(plan: Plan, run_dir: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the graph: a Ray of its own, its files in `run_dir`.

    What the caller's environment says of Serve wins over serve.env.
    """
    environment = dict(inherited)
    for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_RUNTIME_ENV_HOOK"):
        environment.pop(name, None)
    paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "RAY_TMPDIR": str(run_dir),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_maximum_startup_concurrency": "8",
    }
    if plan.fast:
        flags = parse_env((ROOT / "serve.env").read_text()) | haproxy_places(run_dir)
        environment = flags | environment
    return environment


def haproxy_places(run_dir: Path) -> dict[str, str]:
    """HAProxy's files and side ports, so that two of them can live on one machine.

    Names are short: a Unix socket's path ends at about 100 characters, and Ray adds 57.
    """
    home = run_dir / "h"
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "a.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "m.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port(9101)),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port(8404)),
    }


# --- the port, and who has it ------------------------------------------------------------------


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int) -> int:
    """The preferred port where it is free on every interface, else any that is."""
    if port_is_free("0.0.0.0", preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def claimed(plan: Plan, directory: Path) -> Generator[None, None, None]:
    """Hold the right to run at this port. Raises LaunchError where a copy or another has it."""
    path = directory / f"parley-{os.getuid()}-{plan.port}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError(
                f"already running at {plan.address} (process {lock.read().strip()}):"
                " stop it with Ctrl-C there, or choose another port with --port"
            ) from None
        if not port_is_free(plan.host, plan.port):
            raise LaunchError(
                f"port {plan.port} is taken by another program:"
                " stop that, or choose another port with --port"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


# --- start, wait, stop -------------------------------------------------------------------------


def _launch(plan: Plan) -> None:
    """Run the graph until it is told to stop (raises Stopped) or fails (raises LaunchError)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    directory = _temp_root()
    with claimed(plan, directory):
        run_dir = Path(tempfile.mkdtemp(prefix="parley-", dir=directory))
        keep_files = False
        try:
            with _running(plan, run_dir) as graph:
                _serve(plan, run_dir, graph)
        except LaunchError:
            keep_files = True
            raise
        finally:
            if not keep_files:
                shutil.rmtree(run_dir, ignore_errors=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


def _temp_root() -> Path:
    """/tmp where it is writable, as Unix sockets need short paths; else the system's choice."""
    return Path("/tmp") if os.access("/tmp", os.W_OK) else Path(tempfile.gettempdir())


@contextlib.contextmanager
def _running(plan: Plan, run_dir: Path) -> Generator[subprocess.Popen[bytes], None, None]:
    """The graph and its keeper; on leaving, every process of the graph's session has ended."""
    config = plan.config
    if http_address(read_config(config)) != (plan.host, plan.port):
        config = run_dir / plan.config.name
        config.write_text(yaml.safe_dump(with_port(read_config(plan.config), plan.port)))
    me = [sys.executable, str(Path(__file__).resolve())]
    with (
        subprocess.Popen([*me, "--keep"], stdin=subprocess.PIPE, start_new_session=True) as keeper,
        (run_dir / "graph.log").open("wb") as log,
    ):
        graph = subprocess.Popen(
            [*me, "--config", str(config), "--graph", str(run_dir)],
            cwd=ROOT,
            env=graph_environment(plan, run_dir, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            assert keeper.stdin is not None
            keeper.stdin.write(f"{graph.pid} {run_dir}\n".encode())
            keeper.stdin.flush()
            yield graph
        finally:
            end_session(graph.pid)
            graph.wait()
            keeper.kill()


def _serve(plan: Plan, run_dir: Path, graph: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    print(f"Starting at {plan.address}; the log is {run_dir / 'graph.log'}", flush=True)
    told: dict[str, str] = {}
    while not (answer := readiness(plan.host, plan.port)).get("ready"):
        _check_alive(graph, run_dir)
        if time.monotonic() - began > READY_DEADLINE_S:
            waiting = ", ".join(f"{k} is {v}" for k, v in told.items()) or "Ray is starting"
            raise LaunchError(f"not ready after {READY_DEADLINE_S:.0f} s: {waiting}")
        state = reported(run_dir) | answer.get("stages", {})
        _tell(told, state, time.monotonic() - began)
        time.sleep(POLL_S)
    _tell(told, answer.get("stages", {}), time.monotonic() - began)
    _greet(plan, time.monotonic() - began)
    graph.wait()
    _check_alive(graph, run_dir)


def readiness(host: str, port: int) -> dict[str, Any]:
    """What /readyz answers; empty while nothing answers there, or not in its words."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return cast(dict[str, Any], answer) if isinstance(answer, dict) else {}


def _tell(told: dict[str, str], states: Mapping[str, str], after_s: float) -> None:
    """Print what is new since it was last told, and remember it."""
    for part, state in states.items():
        if told.get(part) != state:
            print(f"  {after_s:5.1f} s  {part}: {state}", flush=True)
            told[part] = state


def report(run_dir: Path, states: Mapping[str, str]) -> None:
    """In the graph: say how far it is. Written whole, so that no half is ever read."""
    draft = run_dir / "progress.draft"
    draft.write_text(json.dumps(states))
    draft.replace(run_dir / "progress")


def reported(run_dir: Path) -> dict[str, str]:
    """What the graph last said with `report`; empty before."""
    try:
        return cast(dict[str, str], json.loads((run_dir / "progress").read_text()))
    except FileNotFoundError:
        return {}


def _greet(plan: Plan, after_s: float) -> None:
    url = f"ws://{plan.address}/ws"
    choice = "" if plan.port == 8000 else f" URL={url}"
    print(
        f"Ready after {after_s:.1f} s: {url}\n"
        f"  talk, in another terminal:  make talk{choice}\n"
        f"  with a recording:           make talk{choice} FILE=question.wav\n"
        f"  with the microphone:        make talk{choice} MIC=1\n"
        f"  stop:                       Ctrl-C",
        flush=True,
    )


def _check_alive(graph: subprocess.Popen[bytes], run_dir: Path) -> None:
    """Raises LaunchError, after the useful lines, if the graph has ended."""
    if graph.poll() is None:
        return
    failure = run_dir / "failure"
    lines = (failure if failure.exists() else run_dir / "graph.log").read_text(errors="replace")
    raise LaunchError(explain(lines) + f"\n(the whole log: {run_dir / 'graph.log'})")


def explain(text: str) -> str:
    """One line that says why the graph ended, then the last lines of what it said.

    A traceback's reason is its last line that names an exception.
    """
    plain = ANSI_COLOUR.sub("", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    reasons = [line for line in lines if _names_exception(line)]
    reason = reasons[-1].strip() if reasons else (lines[-1].strip() if lines else "no output")
    return "\n".join([f"the graph ended: {reason}", *(f"  {s}" for s in lines[-LOG_TAIL_LINES:])])


def _names_exception(line: str) -> bool:
    name, colon, _ = line.partition(":")
    last = name.rpartition(".")[2]
    return bool(colon) and last.isidentifier() and last[0].isupper() and " " not in name


# --- a session's end ---------------------------------------------------------------------------


def session_members(session: int) -> list[psutil.Process]:
    """The live processes of a session."""
    members: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def end_session(session: int) -> None:
    """End every process of a session: asked first, killed after STOP_GRACE_S."""
    _signal_all(session_members(session), signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE_S
    while members := session_members(session):
        if time.monotonic() > deadline:
            _signal_all(members, signal.SIGKILL)
        time.sleep(POLL_S)


def _signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _keep(orders: IO[str]) -> int:
    """The keeper: told the session and its directory, it waits for the launcher's end."""
    order = orders.readline().split(maxsplit=1)
    orders.read()
    if order:
        end_session(int(order[0]))
        shutil.rmtree(order[1].strip(), ignore_errors=True)
    return 0


# --- the graph ---------------------------------------------------------------------------------


def _run_graph(config: str, run_dir: Path) -> int:
    """The child: a Ray of its own and the config's applications. Returns only on failure.

    It calls `serve run`, so that a graph started by hand is the same graph.
    """
    ray: Any = importlib.import_module("ray")
    ray.init(
        address="local",
        namespace="serve",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
    )
    report(run_dir, {"Ray": "up"})
    serve: Any = importlib.import_module("ray.serve")
    commands: Any = importlib.import_module("ray.serve.scripts")
    commands.cli(["run", "--non-blocking", config], standalone_mode=False)
    while True:
        for application in serve.status().applications.values():
            deployments = application.deployments
            report(run_dir, {"Ray": "up"} | {k: d.status.lower() for k, d in deployments.items()})
            if application.status == "DEPLOY_FAILED":
                said = [application.message, *(d.message for d in deployments.values())]
                (run_dir / "failure").write_text("\n".join(filter(None, said)))
                return 1
        time.sleep(STATUS_S)


if __name__ == "__main__":
    sys.exit(main())
