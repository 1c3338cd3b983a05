"""The child that is the graph: what it runs, how far it is, why it ended."""

from __future__ import annotations

import importlib
import json
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

STATUS_S = 0.5
OBJECT_STORE_BYTES = 100_000_000
LOG_TAIL_LINES = 15
CONFIG_ERROR = "serve_app.errors.ConfigError"
NEEDS_NOTHING = "The embedded models need nothing fetched: make run (serve_config.embedded.yaml)"
FAILURE = "failure"
"""The file of a run that says why its graph cannot run."""
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_graph(config: str, run_dir: Path, metrics_port: int | None) -> int:
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
        _metrics_export_port=metrics_port,
    )
    report(run_dir, {"Ray": "up"})
    serve: Any = importlib.import_module("ray.serve")
    commands: Any = importlib.import_module("ray.serve.scripts")
    commands.cli(["run", "--non-blocking", config], standalone_mode=False)
    progress: Any = importlib.import_module("deployments.progress")
    while not _settled(serve.status(), progress, run_dir):
        time.sleep(STATUS_S)
    if (run_dir / FAILURE).exists():
        return 1
    while True:
        signal.pause()


def _settled(status: Any, progress: Any, run_dir: Path) -> bool:
    """Report how far the graph is; whether it runs, or cannot: then FAILURE says why."""
    applications = status.applications
    deployments = {name: d for a in applications.values() for name, d in a.deployments.items()}
    told = {stage: s for name in applications for stage, s in progress.told(name).items()}
    report(run_dir, {"Ray": "up"} | {n: d.status.lower() for n, d in deployments.items()} | told)
    for stage, state in told.items():
        if reason := progress.reason(state):
            (run_dir / FAILURE).write_text(f"{CONFIG_ERROR}: {stage}: {reason}. {NEEDS_NOTHING}")
            return True
    states = {str(application.status.value) for application in applications.values()}
    if "DEPLOY_FAILED" in states:
        said = [part.message for part in (*applications.values(), *deployments.values())]
        (run_dir / FAILURE).write_text("\n".join(filter(None, said)))
        return True
    return states == {"RUNNING"}


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


def explain(text: str) -> str:
    """One line that says why the graph ended, then the last lines of what it said.

    A traceback's reason is its last line that names an exception. What the project itself
    refuses is said in its own words, and needs no more.
    """
    plain = ANSI_COLOUR.sub("", text)
    lines = [line.rstrip() for line in plain.splitlines() if line.strip()]
    reasons = [line for line in lines if _names_exception(line)]
    reason = reasons[-1].strip() if reasons else (lines[-1].strip() if lines else "no output")
    name, _, refusal = reason.partition(": ")
    if name == CONFIG_ERROR:
        return refusal
    return "\n".join([f"the graph ended: {reason}", *(f"  {s}" for s in lines[-LOG_TAIL_LINES:])])


def _names_exception(line: str) -> bool:
    name, colon, _ = line.partition(":")
    last = name.rpartition(".")[2]
    return bool(colon) and last.isidentifier() and last[0].isupper() and " " not in name
