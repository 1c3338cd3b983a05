"""500 replies that nobody heard to the end: nothing of them is left in any replica."""

from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.cancelling import cancel_turns
from tests.e2e.graph import ROOT, Graph, running
from tests.e2e.holdings import ENVIRONMENT, settled

WARM_UP, CANCELLED, AT_ONCE = 100, 500, 4


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The embedded graph; its health is asked for each second, and its gauges are fresh."""
    directory = tmp_path_factory.mktemp("cancelled")
    config = yaml.safe_load((ROOT / "serve_config.embedded.yaml").read_text())
    for deployment in config["applications"][0]["deployments"]:
        deployment["health_check_period_s"] = 1
    path = directory / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        with running(path, "fast", directory) as started:
            yield started


@pytest.mark.timeout(900)
async def test_cancelled_turns_leave_nothing(graph: Graph) -> None:
    """No slot, task or file, and no memory that grows with them."""
    await cancel_turns(graph.url, WARM_UP, AT_ONCE)
    before = await settled(graph)
    assert await cancel_turns(graph.url, CANCELLED, AT_ONCE) >= CANCELLED
    after = await settled(graph, before)
    print(before, after, sep="\n")
    assert after.grown_since(before) == []
