"""The graphs that the end-to-end tests share, each behind both front doors."""

from collections.abc import Iterator

import pytest

from tests.e2e.graph import ROOT, Graph, running
from tests.launcher.vacant import vacant_port

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
      vllm_urls: ["http://127.0.0.1:LLM_PORT/v1"]
      limits: {max_calls: 10, idle_s: 12, max_lag_ms: 60000, max_voice_wait_ms: 60000}
      resume: {store: none}
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
    llm_port = vacant_port()
    config.write_text(STEP_CONFIG.replace("LLM_PORT", str(llm_port)))
    with running(config, front_door, directory, llm_port) as graph:
        yield graph
