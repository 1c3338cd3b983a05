"""Processes of a real graph killed one after the other, under ten calls that go on meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from launcher.session import session_members
from tests.e2e.graph import Graph, running
from tests.e2e.watched_calls import Calls, calling, timed

pytestmark = pytest.mark.timeout(900)

CALLS = 10
STAGES = ("SpeechToText", "LanguageModel", "TextToSpeech")
BACK_S = 60.0
ROUND_S = 90.0


@pytest.fixture(scope="module", params=["fast", pytest.param("default", marks=pytest.mark.soak)])
def front_door(request: pytest.FixtureRequest) -> str:
    """HAProxy, and Serve's own proxy."""
    return request.param


@pytest.fixture(scope="module")
def graph(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The load test's graph."""
    directory = tmp_path_factory.mktemp("kills")
    with running(timed(directory), front_door, directory) as graph:
        yield graph


async def replaced(graph: Graph, deployment: str, lost: int) -> None:
    """Until another process serves the deployment."""
    async with asyncio.timeout(BACK_S):
        while [p for p in graph.replicas(deployment) if p.pid != lost] == []:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.soak)])
async def test_replicas_of_stages_are_killed(graph: Graph, rounds: int) -> None:
    """No call is lost; each turn is answered, or its caller is told what failed; and once the
    replica is back every call is answered as before."""
    async with calling(range(CALLS), graph.url) as calls:
        await calls.until_answered(ROUND_S)
        assert calls.failures() == []
        for number in range(rounds * len(STAGES)):
            stage = STAGES[number % len(STAGES)]
            before, killed_at = len(calls.records), time.monotonic()
            victim = graph.replica(stage)
            victim.send_signal(signal.SIGKILL)
            await replaced(graph, stage, victim.pid)
            back_s = time.monotonic() - killed_at
            await calls.until_answered(ROUND_S)
            _print(calls, stage, before, back_s)
        calm = len(calls.records)
        await calls.until_answered(ROUND_S)
        assert calls.failures(calm) == []
    calls.assert_each_failure_was_told()
    assert calls.endings() == ["stopped"] * CALLS


def _print(calls: Calls, stage: str, before: int, back_s: float) -> None:
    longest_s = max(calls.waits_ms(before)) / 1000
    told = sum(kind.startswith("error") for _, kind in calls.failures(before))
    print(f"{stage}: another process after {back_s:.1f} s, ", end="")
    print(f"the longest wait for an answer {longest_s:.1f} s, {told} errors told")


def members(graph: Graph, title: str) -> list[psutil.Process]:
    """The graph's processes with this in their command line."""
    return [p for p in session_members(graph.session) if title in " ".join(p.cmdline())]


@pytest.mark.soak
async def test_the_controller_is_killed(graph: Graph) -> None:
    """Calls do not notice; and a stage that is lost after that is replaced as ever."""
    async with calling(range(CALLS), graph.url) as calls:
        await calls.until_answered(ROUND_S)
        (controller,) = members(graph, "ServeController")
        controller.send_signal(signal.SIGKILL)
        await calls.until_answered(ROUND_S)
        await calls.until_answered(ROUND_S)
        assert calls.failures() == []
        victim = graph.replica("LanguageModel")
        victim.send_signal(signal.SIGKILL)
        await replaced(graph, "LanguageModel", victim.pid)
        await calls.until_answered(ROUND_S)
    calls.assert_each_failure_was_told()
    assert calls.endings() == ["stopped"] * CALLS


@pytest.mark.soak
async def test_the_front_door_is_killed(graph: Graph, front_door: str) -> None:
    """Every call comes back by itself once another stands there, and goes on."""
    title = "haproxy -" if front_door == "fast" else "ProxyActor"
    async with calling(range(CALLS), graph.url) as calls:
        await calls.until_answered(ROUND_S)
        assert calls.failures() == []
        doors = members(graph, title)
        assert doors
        for door in doors:
            door.send_signal(signal.SIGKILL)
        await calls.until_answered(ROUND_S)
        calm = len(calls.records)
        await calls.until_answered(ROUND_S)
        assert calls.failures(calm) == []
    lost = [call for call, kind in calls.failures() if kind == "connection lost"]
    assert sorted(lost) == list(range(CALLS))
    assert calls.endings() == ["stopped"] * CALLS
