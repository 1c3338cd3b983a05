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
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, cast

import yaml

from launcher import LaunchError
from launcher.graph import FAILURE, explain, reported, run_graph
from launcher.plan import (
    ROOT,
    Plan,
    graph_environment,
    http_address,
    plan_of,
    read_config,
    with_address,
)
from launcher.ports import claimed
from launcher.session import end_session, keep

NEWS_DEADLINE_S = 600.0
"""A big model loads for minutes without a word; downloads tell how far they are."""
POLL_S = 0.1


class Stopped(Exception):
    """A signal asked the launcher to stop."""


def main(argv: list[str] | None = None) -> int:
    """Run until stopped. 0 after Ctrl-C or SIGTERM, 1 with one line on stderr otherwise."""
    options = _parse(argv)
    if options.graph:
        return run_graph(options.config, Path(options.graph), options.metrics_port)
    if options.keep:
        return keep(sys.stdin)
    if options.allow_anonymous:
        os.environ["PARLEY_ALLOW_ANONYMOUS"] = "1"
    try:
        plan = plan_of(Path(options.config), options.host, options.port, options.front_door)
        _launch(replace(plan, metrics_port=options.metrics_port))
    except LaunchError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1
    except Stopped:
        print("Stopped.")
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch.py", description="Run the graph here.")
    parser.add_argument("--config", default=str(ROOT / "serve_config.embedded.yaml"))
    parser.add_argument("--host", help="in place of the config file's; 0.0.0.0: every interface")
    parser.add_argument("--port", type=int, help="in place of the config file's")
    parser.add_argument(
        "--allow-anonymous",
        action="store_true",
        help="serve other machines without keys: whoever reaches the port may call",
    )
    parser.add_argument(
        "--front-door",
        choices=("fast", "default"),
        default="fast" if sys.platform == "linux" else "default",
        help="fast: HAProxy with the flags of serve.env (Linux); default: Serve's own proxy",
    )
    parser.add_argument(
        "--metrics-port", type=int, help="where Prometheus finds /metrics, on 127.0.0.1"
    )
    parser.add_argument("--graph", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _launch(plan: Plan) -> None:
    """Run the graph until it is told to stop (raises Stopped) or fails (raises LaunchError)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    directory = _temp_root()
    with claimed(plan.host, plan.port, directory):
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
        config.write_text(
            yaml.safe_dump(with_address(read_config(plan.config), plan.host, plan.port))
        )
    me = [sys.executable, str(Path(__file__).resolve())]
    metrics = ["--metrics-port", str(plan.metrics_port)] if plan.metrics_port else []
    with (
        subprocess.Popen([*me, "--keep"], stdin=subprocess.PIPE, start_new_session=True) as keeper,
        (run_dir / "graph.log").open("wb") as log,
    ):
        graph = subprocess.Popen(
            [*me, "--config", str(config), "--graph", str(run_dir), *metrics],
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
    began = news_at = time.monotonic()
    print(f"Starting at {plan.address}; the log is {run_dir / 'graph.log'}", flush=True)
    told: dict[str, str] = {}
    while not (answer := readiness(plan.host, plan.port)).get("ready"):
        _check_alive(graph, run_dir)
        now = time.monotonic()
        if now - news_at > NEWS_DEADLINE_S:
            waiting = ", ".join(f"{k} is {v}" for k, v in told.items()) or "Ray is starting"
            raise LaunchError(f"nothing new in {NEWS_DEADLINE_S:.0f} s: {waiting}")
        if _tell(told, reported(run_dir) | answer.get("stages", {}), now - began):
            news_at = now
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


def _tell(told: dict[str, str], states: Mapping[str, str], after_s: float) -> bool:
    """Print what is new since it was last told, and remember it; whether anything was.

    A failure is not told here: the graph's end says it, once.
    """
    now = {part: state for part, state in states.items() if not state.startswith("failed: ")}
    news = {part: state for part, state in now.items() if told.get(part) != state}
    for part, state in news.items():
        print(f"  {after_s:5.1f} s  {part}: {state}", flush=True)
    told |= news
    return bool(news)


def _greet(plan: Plan, after_s: float) -> None:
    url = f"ws://{plan.address}/ws"
    choice = "" if plan.port == 8000 else f" URL={url}"
    print(
        f"Ready after {after_s:.1f} s: {url}\n"
        f"  talk, in a browser:         http://{plan.address}/\n"
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
    failure = run_dir / FAILURE
    lines = (failure if failure.exists() else run_dir / "graph.log").read_text(errors="replace")
    raise LaunchError(explain(lines))


if __name__ == "__main__":
    sys.exit(main())
