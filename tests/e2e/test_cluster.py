"""The graph over three Ray nodes: the stages on different ones, ingresses on two; one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import redis_server
from tests.e2e.cluster import ClusterGraph, running_over_nodes
from tests.e2e.talkers import LOST, talking

pytestmark = pytest.mark.timeout(900)

CALLS = 6
BACK_S = 180.0
TOLD = {"stage_failed", "stage_timeout", "stage_unavailable", "stage_overloaded"}
NEEDS = {
    "Ingress": ("ingress", 2),
    "SpeechToText": ("ears", 1),
    "LanguageModel": ("mind", 1),
    "TextToSpeech": ("voice", 2),
}
"""The resource of a node that a replica takes, and how many replicas there are."""


def config(directory: Path, redis_url: str) -> Path:
    """The graph of resume_graph.py, each part where a node has what it asks for."""
    parts: list[dict[str, Any]] = [
        {
            "name": name,
            "num_replicas": replicas,
            "health_check_period_s": 1,
            "ray_actor_options": {"num_cpus": 0.1, "resources": {resource: 1}},
        }
        for name, (resource, replicas) in NEEDS.items()
    ]
    application = {
        "name": "parley",
        "route_prefix": "/",
        "import_path": "tests.e2e.resume_graph:build",
        "args": {
            "stt": {"backend": "fixed"},
            "llm": {"backend": "rememberer"},
            "tts": {"backend": "steps", "first_s": 3},
            "resume": {"store": "redis", "redis_url": redis_url},
        },
        "deployments": parts,
    }
    whole = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": 8000},
        "applications": [application],
    }
    path = directory / "cluster.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ClusterGraph]:
    """With conversations in a Redis, which outlives any node."""
    with (
        redis_server.running(tmp_path) as url,
        running_over_nodes(config(tmp_path, url), tmp_path) as graph,
    ):
        yield graph


async def over_two_nodes(graph: ClusterGraph, deployment: str) -> None:
    """Until it has replicas on two nodes."""
    async with asyncio.timeout(BACK_S):
        while len(graph.nodes_of(deployment)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.25)


async def test_a_node_is_lost_and_another_comes(graph: ClusterGraph) -> None:
    """Calls at the ingress of the lost node go on at the other with all that was said, those at
    the other notice at most a phrase that failed; a node that joins takes the lost one's part."""
    clock = asyncio.get_running_loop().time
    ears, mind = graph.nodes_of("SpeechToText"), graph.nodes_of("LanguageModel")
    assert len(ears | mind) == 2
    assert len(graph.nodes_of("Ingress")) == len(graph.nodes_of("TextToSpeech")) == 2
    async with talking(graph.url, CALLS, types=True) as talkers:
        await talkers.until_answered(clock(), BACK_S)
        assert talkers.not_answered() == []
        killed_at = clock()
        await asyncio.to_thread(graph.order, "remove two")
        await talkers.until_answered(killed_at, BACK_S)
        assert graph.nodes_of("Ingress") == mind
        talkers.report("a node is lost", killed_at)
        joined_at = clock()
        await asyncio.to_thread(graph.order, "add three")
        for deployment in ("Ingress", "TextToSpeech"):
            await over_two_nodes(graph, deployment)
        print(f"\nit has its part after {clock() - joined_at:.1f} s", end="")
        await talkers.until_answered(clock(), BACK_S)
        talkers.report("another has joined", joined_at)
        assert talkers.not_answered(but=[LOST, *TOLD]) == []
        assert sorted({talker.losses for talker in talkers.all}) == [0, 1]
        assert all(talker.returns == talker.losses for talker in talkers.all)
