"""`python -m bench.capacity.record FILE`: a load as it was, calls and queue age second by second.

Calls of the bench come one after the other to a graph with one ingress, until there are more than
it carries, and go again. What is written is what its autoscaling policy would have been told.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import uvloop
import yaml
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from bench.caller import Caller, Script
from bench.clip import make_clip
from bench.systems import ROOT, System, running
from bench.systems.balancer import free_port
from bench.systems.parley import graph_config
from bench.yardstick import decisions_due

CALLS = 44
COME_EVERY_S = 2.5
STAY_S = 140.0
"""So long each call is there: all are for a while, then they go as they came."""
TURNS = 1_000
"""More than a call comes to."""
CALM_S = 20.0
"""Recorded before the first call and after the last."""
FRESH = {"RAY_metrics_report_interval_ms": "1000"}
GAUGES = ("ray_parley_calls", "ray_parley_event_loop_lag_ms")
COLUMNS = ("second", "calls", "queue_age_ms")


def main(argv: Sequence[str] | None = None) -> int:
    """Record a load of five minutes into FILE."""
    parser = argparse.ArgumentParser(prog="bench.capacity.record", description=__doc__)
    parser.add_argument("file", type=Path)
    uvloop.run(_record(parser.parse_args(argv).file))
    return 0


async def _record(file: Path) -> None:
    clip = make_clip()
    script = Script(clip, decisions_due(clip, 1))
    metrics_port = free_port()
    async with running(_system(metrics_port), None, Path(sys.executable)) as server:
        calls = asyncio.gather(*(_call(server.url, script, number) for number in range(CALLS)))
        rows = await _watched(metrics_port, calls)
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


async def _call(url: str, script: Script, number: int) -> None:
    """One call; where the ingress takes no more, none."""
    caller = Caller(url, script, [0] * TURNS, CALM_S + number * COME_EVERY_S)
    try:
        async with asyncio.timeout(CALM_S + number * COME_EVERY_S + STAY_S):
            await caller.run()
    except* (TimeoutError, InvalidStatus):
        pass


async def _watched(
    metrics_port: int, calls: asyncio.Future[list[None]]
) -> list[tuple[int, int, float]]:
    """A row a second, until all calls were over for a while."""
    rows: list[tuple[int, int, float]] = []
    clock = asyncio.get_running_loop().time
    began, calm_from = clock(), None
    async with httpx.AsyncClient(timeout=10.0) as client:
        while calm_from is None or clock() < calm_from + CALM_S:
            text = (await client.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
            told = {
                sample.name: sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            if all(name in told for name in GAUGES):
                carried, age_ms = (told[name] for name in GAUGES)
                rows.append((round(clock() - began), int(carried), round(age_ms, 1)))
            if calls.done() and calm_from is None:
                calls.result()
                calm_from = clock()
            await asyncio.sleep(1.0)
    return rows


def _system(metrics_port: int) -> System:
    """The graph of the bench, whose health, and with it each gauge, is asked for every second."""

    def command(port: int, _slots: int | None, _peer: Path, work: Path) -> list[str]:
        whole = yaml.safe_load(graph_config(None, "off"))
        for deployment in whole["applications"][0]["deployments"]:
            deployment["health_check_period_s"] = 1
        config = work / "record.yaml"
        config.write_text(yaml.safe_dump(whole))
        fresh = [f"{name}={value}" for name, value in FRESH.items()]
        launch = ["env", *fresh, sys.executable, str(ROOT / "launch.py"), "--config", str(config)]
        return [*launch, "--port", str(port), "--metrics-port", str(metrics_port)]

    return System("parley", "Parley behind HAProxy", command, "/ws?codec=pcm16&rate=16000")


if __name__ == "__main__":
    sys.exit(main())
