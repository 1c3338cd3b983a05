"""Replicas of stages killed one after the other, in mid-turn, under ten calls that go on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.graph import TIMED
from tests.e2e.graph import Graph, running
from tests.e2e.talkers import ANSWERED, Talkers, talking

pytestmark = pytest.mark.timeout(1_800)

CALLS = 10
STAGES = {"SpeechToText": "stt", "LanguageModel": "llm", "TextToSpeech": "tts"}
STAGE_S = 3.0
"""How long a stage is waited for, each of two times."""
BACK_S = 90.0
TOLD = {"stage_failed", "stage_timeout", "stage_unavailable", "stage_overloaded"}
"""What a caller may be told of a stage that is not there; the last once its circuit is open."""


def config(directory: Path, replicas: int) -> Path:
    """The load test's graph with short answers, stages that are given up soon, and this many
    replicas of each."""
    whole: dict[str, Any] = yaml.safe_load(TIMED.read_text())
    application = whole["applications"][0]
    args = application["args"]
    for stage in STAGES.values():
        args[stage] |= {"first_s": STAGE_S, "next_s": STAGE_S}
    args["llm"]["settings"]["text"] = "I have heard it. It was this: {said}."
    for deployment in application["deployments"]:
        deployment |= {"health_check_period_s": 1, "ray_actor_options": {"num_cpus": 0.1}}
        if deployment["name"] in STAGES:
            deployment["num_replicas"] = replicas
    path = directory / "kills.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture(
    scope="module",
    params=[
        "fast, 1",
        pytest.param("fast, 2", marks=pytest.mark.soak),
        pytest.param("default, 1", marks=pytest.mark.soak),
    ],
)
def graph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Graph]:
    """Behind each front door; with one replica a stage, and with another that can go on."""
    front_door, replicas = request.param.split(", ")
    directory = tmp_path_factory.mktemp("kills")
    with running(config(directory, int(replicas)), front_door, directory) as graph:
        yield graph


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.soak)])
async def test_stages_are_killed_in_mid_turn(graph: Graph, rounds: int) -> None:
    """No call is lost; each turn is answered, or its caller is told that a stage failed; and then
    every call is answered again."""
    clock = asyncio.get_running_loop().time
    async with talking(graph.url, CALLS) as talkers:
        await talkers.until_answered(clock(), BACK_S)
        assert talkers.not_answered() == []
        for deployment in [*STAGES] * rounds:
            await talkers.until(lambda: _in_turn(talkers) >= CALLS // 2, BACK_S)
            killed_at = clock()
            graph.replicas(deployment)[0].send_signal(signal.SIGKILL)
            spoken = deployment == "SpeechToText"
            await talkers.until_answered(killed_at, BACK_S, spoken=spoken)
            talkers.report(deployment, killed_at, spoken=spoken)
        calm_at = clock()
        await talkers.until_answered(calm_at, BACK_S)
        assert set(talkers.came_since(calm_at)) == {ANSWERED}
        assert talkers.not_answered(but=TOLD) == []
        assert [talker.losses for talker in talkers.all] == [0] * CALLS


def _in_turn(talkers: Talkers) -> int:
    return sum(talker.in_turn for talker in talkers.all)
