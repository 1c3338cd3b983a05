"""`make loadtest`: a server if none is named, locust against it, its exit status."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from loadtest.graph import ROOT, TIMED, Graph, GraphFailed, running
from loadtest.slo import BadObjectives, read_objectives

LOCUSTFILE = "loadtest/locustfile.py"
RAMP = "loadtest/ramp.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every objective was kept, 1 if not, 2 if there was nothing to test."""
    options = _options(arguments)
    try:
        read_objectives(options.slo.read_text())
    except (OSError, BadObjectives) as error:
        print(f"loadtest: {options.slo}: {error}", file=sys.stderr)
        return 2
    # Asked to end, it ends as after Ctrl-C: the server that it started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server: AbstractContextManager[Graph] = (
        nullcontext(Graph(options.url, options.server_session))
        if options.url
        else running(options.graph_python, options.config)
    )
    try:
        with server as graph:
            return subprocess.run(locust_command(options, graph), cwd=ROOT, check=False).returncode
    except GraphFailed as error:
        print(f"loadtest: the server did not start: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def locust_command(options: argparse.Namespace, graph: Graph) -> list[str]:
    """How locust is started."""
    timed = options.timed or (not options.url and options.config == TIMED)
    files = f"{LOCUSTFILE},{RAMP}" if options.shape == "ramp" else LOCUSTFILE
    command = [sys.executable, "-m", "locust", "-f", files, "--host", graph.url]
    command += ["--users", str(options.users), "--spawn-rate", str(options.rate)]
    command += ["--slo", str(options.slo), "--report", str(options.report)]
    command += ["--server-session", str(graph.session)] if graph.session else []
    command += ["--timed"] if timed else []
    command += ["--processes", str(options.workers)] if options.workers else []
    if options.shape == "ramp":
        command += ["--step-users", str(options.step_users)]
        command += ["--step-seconds", str(options.step_seconds)]
    else:
        command += ["--run-time", options.time]
    if options.ui:
        return [*command, "--web-host", "127.0.0.1"]
    return [*command, "--headless", "--only-summary", "--loglevel", "WARNING"]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtest", description=__doc__)
    add = parser.add_argument
    add("--url", default="", help="a server that runs; by default one is started here")
    add("--users", type=int, default=6, help="calls at once; of a ramp, the most (%(default)s)")
    add("--rate", type=float, default=2.0, help="callers that begin a second (%(default)g)")
    add("--time", default="60s", help="how long, in locust's way (%(default)s)")
    add("--shape", choices=("steady", "ramp"), default="steady", help="ramp: in steps, to the knee")
    add("--step-users", type=int, default=4, help="of a ramp (%(default)s)")
    add("--step-seconds", type=float, default=30.0, help="of a ramp (%(default)g)")
    add("--workers", type=int, default=0, help="processes of callers, each with a core")
    add("--ui", action="store_true", help="locust's page at http://127.0.0.1:8089")
    add("--timed", action="store_true", help="the server at --url runs loadtest/timed.yaml")
    add("--config", type=Path, default=TIMED, help="of the server that is started")
    add("--graph-python", default=str(ROOT / ".venv" / "bin" / "python"), help="its interpreter")
    add("--server-session", type=int, default=0, help="of the server at --url, if it is here")
    add("--slo", type=Path, default=ROOT / "loadtest" / "slo.toml")
    add("--report", type=Path, default=ROOT / ".run" / "loadtest" / "report.html")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
