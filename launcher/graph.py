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
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_graph(config: str, run_dir: Path) -> int:
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
    while (states := _pass_on(serve.status(), run_dir)) != {"RUNNING"}:
        if "DEPLOY_FAILED" in states:
            return 1
        time.sleep(STATUS_S)
    while True:
        signal.pause()


def _pass_on(status: Any, run_dir: Path) -> set[str]:
    """Report how far the deployments are, and why one failed; the applications' states."""
    applications = status.applications.values()
    deployments = {name: d for a in applications for name, d in a.deployments.items()}
    report(run_dir, {"Ray": "up"} | {name: d.status.lower() for name, d in deployments.items()})
    states = {str(application.status.value) for application in applications}
    if "DEPLOY_FAILED" in states:
        said = [part.message for part in (*applications, *deployments.values())]
        (run_dir / "failure").write_text("\n".join(filter(None, said)))
    return states


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
