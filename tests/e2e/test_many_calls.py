"""Thirty calls at once for ten minutes, over stages of known speed: none is lost, nothing grows.

The callers are the bench's: they speak in real time, interrupt every second reply, and note when
they heard what. How long they waited is printed beside the floor, and is in docs/reliability.md:
it says how fast the machine is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from statistics import fmean, median

import pytest
import uvloop
import yaml

from bench.caller import Caller, Script, spread
from bench.clip import make_clip
from bench.figures import percentile
from bench.plan import ENDPOINT_MS, NOMINAL_MS
from bench.systems.parley import graph_config
from bench.yardstick import decisions_due
from tests.e2e.graph import Graph, running
from tests.e2e.holdings import ENVIRONMENT, MORE_TASKS, Holdings, now_held, settled

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

CALLS = 30
SECONDS = 600.0
WARM_UP_S = 120.0
LOOK_S = 10.0
ALIGNMENTS = 8
"""To the frame grids, of what is said."""
TURNS = 1_000
"""More than a call comes to."""
BEGIN_OVER_S = 4.0
GROWTH = 1.05
ROOM = {"tasks": MORE_TASKS, "memory_mb": 0.0}
"""5 % of a few tasks is none: these may come and go."""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph of the bench, with its limits: what it sheds under load is shed here too."""
    directory = tmp_path_factory.mktemp("many")
    config = directory / "many.yaml"
    settings = yaml.safe_load(graph_config(None, "off"))
    for deployment in settings["applications"][0]["deployments"]:
        deployment["health_check_period_s"] = 1  # Then the gauge of tasks is set.
    config.write_text(yaml.safe_dump(settings))
    as_it_is = {**ENVIRONMENT, "PARLEY_OVERRIDES": ""}
    with running(config, "fast", directory, environment=as_it_is) as graph:
        yield graph


def test_thirty_calls_for_ten_minutes(graph: Graph) -> None:
    """No call is lost; tasks and memory of every replica are flat after a warm-up."""
    uvloop.run(_thirty_calls(graph, _script()))


async def _thirty_calls(graph: Graph, script: Script) -> None:
    url = f"{graph.url}?codec=pcm16&rate=16000"
    callers = [
        Caller(
            url,
            script,
            list(islice(cycle(range(ALIGNMENTS)), call, call + TURNS)),
            spread(call, CALLS, BEGIN_OVER_S),
        )
        for call in range(CALLS)
    ]
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(caller.run()) for caller in callers]
        await asyncio.wait(calls, timeout=WARM_UP_S, return_when=asyncio.FIRST_COMPLETED)
        looks: list[Holdings] = []
        for _ in range(round((SECONDS - WARM_UP_S) / LOOK_S)):
            await asyncio.wait(calls, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            looks.append(await now_held(graph))
        lost = [
            caller.call.lost for caller, call in zip(callers, calls, strict=True) if call.done()
        ]
        for call in calls:
            call.cancel()
    afterwards = await settled(graph)
    _tell(callers)
    for kind in ROOM:
        print(kind, growth(looks, kind), getattr(afterwards, kind))
    assert lost == []
    assert not [
        f"{kind} of {replica}: {was:.0f}, then {now:.0f}"
        for kind, room in ROOM.items()
        for replica, (was, now) in growth(looks, kind).items()
        if now > max(was * GROWTH, was + room)
    ]


def growth(looks: Sequence[Holdings], kind: str) -> dict[str, tuple[float, float]]:
    """By replica, what was held in the first third and in the last; a replica that is gone, or
    was not there, holds endlessly much."""
    third = len(looks) // 3
    first, last = (
        [getattr(look, kind) for look in part] for part in (looks[:third], looks[-third:])
    )
    replicas = {replica for held in (*first, *last) for replica in held}
    return {
        replica: (
            median(held.get(replica, 0.0) for held in first),
            median(held.get(replica, math.inf) for held in last),
        )
        for replica in sorted(replicas)
    }


def _script() -> Script:
    clip = make_clip()
    return Script(clip, decisions_due(clip, ALIGNMENTS))


def _tell(callers: Sequence[Caller]) -> None:
    turns = [turn for caller in callers for turn in caller.call.turns]
    waits = [turn.first_audio_ms for turn in turns if turn.first_audio_ms is not None]
    late = [ms for caller in callers for ms in caller.call.late_ms]
    due_ms = fmean(turn.due_ms for turn in turns)
    print(
        f"\n{len(turns)} turns, {len(turns) - len(waits)} unanswered,"
        f" {sum(turn.underruns for turn in turns)} underruns; first audio"
        f" {fmean(waits):.0f} ms in the mean, p50 {percentile(waits, 50):.0f},"
        f" p95 {percentile(waits, 95):.0f}, p99 {percentile(waits, 99):.0f};"
        f" the floor: {NOMINAL_MS} ms of stages after {due_ms:.0f} ms to the end of a turn"
        f" (the pause is {ENDPOINT_MS}), in sum {NOMINAL_MS + due_ms:.0f};"
        f" the callers themselves are {percentile(late, 95):.1f} ms late at p95"
    )
