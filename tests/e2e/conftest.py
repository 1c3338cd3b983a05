"""The graphs that the end-to-end tests share, each behind both front doors."""

from collections.abc import Iterator

import pytest

from tests.e2e.graph import ROOT, Graph, running

STEP_CONFIG = """
proxy_location: HeadOnly
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - name: parley
    route_prefix: /
    import_path: tests.e2e.step_graph:build
    args:
      stt: {backend: fixed, first_s: 3}
      llm: {backend: steps, first_s: 3, next_s: 3}
      tts: {backend: steps, first_s: 3, next_s: 3}
      limits: {max_calls: 10, idle_s: 20}
      turn: {endpoint_ms: 300}
"""


@pytest.fixture(scope="module", params=["fast", "default"])
def front_door(request: pytest.FixtureRequest) -> str:
    """HAProxy, and Serve's own proxy: cancellation and disconnects differ."""
    return request.param


@pytest.fixture(scope="module")
def embedded(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph that `make run` starts."""
    config = ROOT / "serve_config.embedded.yaml"
    with running(config, front_door, tmp_path_factory.mktemp("embedded")) as graph:
        yield graph


@pytest.fixture(scope="module")
def stepping(front_door: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The graph of tests/e2e/step_graph.py."""
    directory = tmp_path_factory.mktemp("steps")
    config = directory / "steps.yaml"
    config.write_text(STEP_CONFIG)
    with running(config, front_door, directory) as graph:
        yield graph
