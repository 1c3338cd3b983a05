"""What the replicas of a graph hold: what must not grow with the calls that came and went.

Memory and files are the system's figures; tasks, slots and replies are gauges, read where an
operator's Prometheus reads them.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.graph import Graph

DEPLOYMENTS = ("Ingress", "SpeechToText", "LanguageModel", "TextToSpeech")
AT_WORK = ("parley_calls", "parley_tts_running", "parley_tts_waiting", "parley_llm_unfinished")
"""Gauges that are 0 while nobody calls."""

ENVIRONMENT = {"RAY_metrics_report_interval_ms": "1000"}
"""What a graph must be started with, for its gauges to be fresh enough."""

FRESH_S = 8.0
"""By then every gauge was set anew, at a health check (each 5 s at most), and exported."""

PATIENCE_S = 120.0

MORE_TASKS = 3
"""What Ray asks of a replica just then: its health, a probe of its queue."""

MORE_FILES = 3
"""Connections that Ray opens as it likes. A file a turn would be hundreds."""

MORE_MB = 32.0
"""What waits in cycles for Python's collector, and gaps in the heap: 7 to 10 MB after 500 turns.
A reply's audio is some 400 kB: when that of every reply waited it was 56 MB."""


@dataclass(frozen=True)
class Holdings:
    """By replica, `deployment/id`; the ids of tasks are Serve's, of the rest the system's."""

    tasks: dict[str, float]
    files: dict[str, float]
    memory_mb: dict[str, float]

    def grown_since(self, before: Holdings) -> list[str]:
        """What is more than it was, beyond what may be, or is not there any more."""
        kinds = (
            ("tasks", self.tasks, before.tasks, MORE_TASKS),
            ("files", self.files, before.files, MORE_FILES),
            ("MB", self.memory_mb, before.memory_mb, MORE_MB),
        )
        return [
            f"{replica}: {was:.0f} {kind}, then {now.get(replica, 'gone')}"
            for kind, now, then, allowed in kinds
            for replica, was in then.items()
            if not now.get(replica, math.inf) <= was + allowed
        ]


async def settled(graph: Graph, before: Holdings | None = None) -> Holdings:
    """What is held once nothing is at work, and no more is than before.

    What is held after two minutes, if there is more by then.
    """
    await asyncio.sleep(FRESH_S)
    until = time.monotonic() + PATIENCE_S
    while True:
        gauges = await _gauges(graph)
        at_work = {name: gauges[name] for name in AT_WORK if any(gauges.get(name, {}).values())}
        held = await _holdings(graph, gauges)
        known = len(held.tasks) == len(held.files)
        calm = known and not at_work and not (before and held.grown_since(before))
        if calm or time.monotonic() > until:
            assert known, held
            assert not at_work, at_work
            return held
        await asyncio.sleep(1.0)


async def now_held(graph: Graph) -> Holdings:
    """What is held at this moment, whoever calls; gauges may be some seconds old."""
    return await _holdings(graph, await _gauges(graph))


async def until_calls(graph: Graph, count: int, limit_s: float = PATIENCE_S) -> None:
    """Until the gauge of calls, all ingresses together, is so many."""
    calls = -1.0
    try:
        async with asyncio.timeout(limit_s):
            while calls != count:
                calls = sum((await _gauges(graph)).get("parley_calls", {}).values())
    except TimeoutError:
        raise TimeoutError(f"{calls:.0f} calls after {limit_s:.0f} s, not {count}") from None


async def _holdings(graph: Graph, gauges: dict[str, dict[str, float]]) -> Holdings:
    # The system takes a moment to count memory, and callers may be pacing audio beside.
    return Holdings(gauges.get("parley_tasks", {}), *await asyncio.to_thread(_of_processes, graph))


async def _gauges(graph: Graph) -> dict[str, dict[str, float]]:
    """Parley's gauges, by name and replica."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(_metrics_url(graph))).text
    gauges: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if family.type == "gauge" and sample.name.startswith("ray_parley_"):
                replica = f"{sample.labels['deployment']}/{sample.labels['replica']}"
                gauges.setdefault(sample.name.removeprefix("ray_"), {})[replica] = sample.value
    return gauges


def _metrics_url(graph: Graph) -> str:
    directory = Path(psutil.Process(graph.session).environ()["RAY_TMPDIR"])
    [port] = directory.glob("ray/session_2*/metrics_export_port_*")
    return f"http://127.0.0.1:{port.read_text().strip()}/metrics"


def _of_processes(graph: Graph) -> tuple[dict[str, float], dict[str, float]]:
    """Files, and memory that no other process shares, in MB."""
    files: dict[str, float] = {}
    memory: dict[str, float] = {}
    for deployment in DEPLOYMENTS:
        for process in graph.replicas(deployment):
            replica = f"{deployment}/{process.pid}"
            files[replica] = process.num_fds()
            memory[replica] = process.memory_full_info().uss / 1e6
    return files, memory
