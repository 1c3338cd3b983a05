"""More calls bring more ingress replicas, by the policy that the configuration names."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml
from websockets.asyncio.client import connect

from tests.e2e.graph import ROOT, Graph, running

SCALING = {
    "min_replicas": 1,
    "max_replicas": 2,
    "upscale_delay_s": 0,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1,
    "policy": {
        "policy_function": "serve_app.autoscaling:ByLoadAndQueueAge",
        "policy_kwargs": {"per_replica": 2, "max_queue_age_ms": 1000},
    },
}
CALLS = 4
SCALED_WITHIN_S = 40


def scaling_config(directory: Path) -> Path:
    """The embedded graph, with an ingress that grows from the third call on."""
    config = yaml.safe_load((ROOT / "serve_config.embedded.yaml").read_text())
    [application] = config["applications"]
    [ingress] = [each for each in application["deployments"] if each["name"] == "Ingress"]
    ingress |= {"autoscaling_config": SCALING, "ray_actor_options": {"num_cpus": 0.1}}
    path = directory / "scaling.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


async def ingresses(graph: Graph) -> int:
    """How many processes hold calls."""
    return len(await asyncio.to_thread(graph.replicas, "Ingress"))


@pytest.mark.timeout(180)
async def test_calls_bring_a_second_ingress(tmp_path: Path) -> None:
    """Serve counts the calls, the policy divides them; those that are there are not disturbed."""
    with running(scaling_config(tmp_path), "fast", tmp_path) as graph:
        assert await ingresses(graph) == 1
        async with AsyncExitStack() as calls, asyncio.timeout(SCALED_WITHIN_S):
            sockets = [await calls.enter_async_context(connect(graph.url)) for _ in range(CALLS)]
            while await ingresses(graph) < 2:  # noqa: ASYNC110  Processes tell nobody.
                await asyncio.sleep(0.25)
            assert [await socket.recv() for socket in sockets]
            await asyncio.gather(*(await socket.ping() for socket in sockets))
