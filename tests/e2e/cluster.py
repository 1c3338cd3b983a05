"""A Ray cluster of three nodes on this machine, and a graph over them.

Each node has resources of its own, by which a config says what runs where. The cluster is another
process, `python -m tests.e2e.cluster CONFIG`. It takes orders on stdin, `remove NODE` (whose
processes are killed) and `add NODE`, and answers each by the same line on stdout.
"""

# Ray is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import yaml

from launcher.plan import ROOT, graph_environment, plan_of, read_config, with_address
from launcher.session import end_session
from tests.e2e.graph import PATIENT, Graph
from tests.launcher.vacant import vacant_port

NODES: Final[dict[str, dict[str, float]]] = {
    "head": {"ears": 1},
    "one": {"ingress": 1, "mind": 1, "voice": 1},
    "two": {"ingress": 1, "voice": 1},
    "three": {"ingress": 1, "voice": 1},
}
"""What each can run; `three` comes in place of one that is lost."""
FIRST: Final = ("one", "two")
OBJECT_STORE_BYTES: Final = 100_000_000
STARTED_S: Final = 120.0
POLL_S: Final = 0.25


@dataclass(frozen=True)
class ClusterGraph(Graph):
    """A graph over several nodes."""

    orders: IO[str]
    news: IO[str]

    def order(self, order: str) -> None:
        """Take a node away, or add one; returns once that is done."""
        print(order, file=self.orders, flush=True)
        self.expect(order)

    def expect(self, line: str) -> None:
        """Read on to a line. Raises AssertionError where the cluster ends first."""
        said: list[str] = []
        for heard in self.news:
            said.append(heard)
            if heard.strip() == line:
                return
        raise AssertionError("".join(said)[-3000:])

    def nodes_of(self, deployment: str) -> set[int]:
        """The nodes that a deployment's replicas run on, by their raylets, which started them."""
        return {process.ppid() for process in self.replicas(deployment)}


@contextlib.contextmanager
def running_over_nodes(config: Path, directory: Path) -> Generator[ClusterGraph]:
    """Start `config` behind Serve's own proxy on a cluster; everything has ended afterwards."""
    port = vacant_port()
    plan = plan_of(config, "127.0.0.1", port, "default")
    steps_file = directory / "steps"
    placed = directory / "placed.yaml"
    placed.write_text(yaml.safe_dump(with_address(read_config(config), plan.host, port)))
    with tempfile.TemporaryDirectory(prefix="parley-") as run_dir:
        environment = graph_environment(plan, Path(run_dir), os.environ)
        cluster = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.cluster", str(placed)],
            cwd=ROOT,
            env={
                "PARLEY_OVERRIDES": str(PATIENT),
                **environment,
                "PARLEY_TEST_STEPS": str(steps_file),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            assert cluster.stdin is not None
            assert cluster.stdout is not None
            graph = ClusterGraph(
                plan.address, cluster.pid, steps_file, 0, cluster.stdin, cluster.stdout
            )
            graph.expect("running")
            yield graph
        finally:
            end_session(cluster.pid)
            cluster.communicate()


def main(config: str) -> None:
    """The cluster, until its orders end."""
    ray: Any = importlib.import_module("ray")
    cluster: Any = importlib.import_module("ray.cluster_utils").Cluster()
    nodes = {name: _add(cluster, name) for name in ("head", *FIRST)}
    ray.init(address=cluster.address, namespace="serve")
    commands: Any = importlib.import_module("ray.serve.scripts")
    commands.cli(["run", "--non-blocking", config], standalone_mode=False)
    serve: Any = importlib.import_module("ray.serve")
    give_up_at = time.monotonic() + STARTED_S
    while {str(a.status.value) for a in serve.status().applications.values()} != {"RUNNING"}:
        if time.monotonic() > give_up_at:
            raise TimeoutError(str(serve.status()))
        time.sleep(POLL_S)
    print("running", flush=True)
    for line in sys.stdin:
        order, name = line.split()
        if order == "remove":
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        else:
            nodes[name] = _add(cluster, name)
        print(line.strip(), flush=True)


def _add(cluster: Any, name: str) -> Any:
    return cluster.add_node(
        num_cpus=2,
        resources=NODES[name],
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
    )


if __name__ == "__main__":
    main(sys.argv[1])
