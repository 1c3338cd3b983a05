"""Thirty calls for ten minutes, on a real graph with stages of known speed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import fmean, quantiles

import pytest

from loadtest.records import TurnEnded
from tests.e2e.graph import Graph, running
from tests.e2e.holdings import ENVIRONMENT, settled
from tests.e2e.watched_calls import calling, timed

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

CALLS = 30
SECONDS = 600.0
ROUND_S = 120.0
PAUSE_MS = 500
STAGES_MS = 345
"""What timed.yaml's stages take to the first sound: with the pause, the floor of a spoken turn."""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The load test's graph, whose gauges are fresh."""
    directory = tmp_path_factory.mktemp("many")
    with running(timed(directory), "fast", directory, environment=ENVIRONMENT) as graph:
        yield graph


async def test_thirty_calls_for_ten_minutes(graph: Graph) -> None:
    """No call is lost and no turn unanswered; what replicas hold afterwards is what they held after
    as many calls before. How long callers waited is printed."""
    async with calling(range(CALLS), graph.url) as calls:
        await calls.until_answered(ROUND_S)
    before = await settled(graph)
    ends_at = time.monotonic() + SECONDS
    async with calling(range(CALLS), graph.url) as calls:
        while time.monotonic() < ends_at:
            await calls.until_answered(ROUND_S)
    after = await settled(graph, before)
    waits = [
        record.first_audio_ms
        for record in calls.records
        if isinstance(record, TurnEnded) and record.kind == "spoken" and record.first_audio_ms
    ]
    floor_ms = PAUSE_MS + STAGES_MS
    print(f"{len(waits)} spoken turns: first audio {fmean(waits):.0f} ms in the mean, ", end="")
    print(f"p95 {quantiles(waits, n=20)[-1]:.0f} ms; the stages and the pause take {floor_ms} ms")
    print(before, after, sep="\n")
    assert calls.failures() == []
    assert calls.endings() == ["stopped"] * CALLS
    assert after.grown_since(before) == []
