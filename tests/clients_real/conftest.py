"""The graph that the clients of others talk with, and what their callers say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.sample_voice import speak
from tests.clients_real.model_server import ModelServer, model_server
from tests.e2e.graph import ROOT, Graph, running

RATE = 24_000
SPOKEN = {"question": "We are all very unhappy", "interruption": "Wait. I am very unhappy"}
"""The embedded recogniser understands these over a telephone, too."""


@pytest.fixture(scope="session")
def model() -> Iterator[ModelServer]:
    """What the graph's model says is written."""
    with model_server() as server:
        yield server


@pytest.fixture(scope="session")
def agent(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """What `make run` starts, with that model instead of ELIZA."""
    directory = tmp_path_factory.mktemp("agent")
    config = directory / "agent.yaml"
    embedded = (ROOT / "serve_config.embedded.yaml").read_text()
    line = "llm: {backend: eliza}"
    assert line in embedded
    settings = f'{{model: m, base_url: "{model.url}", api_key_env: ""}}'
    config.write_text(embedded.replace(line, f"llm: {{backend: openai, settings: {settings}}}"))
    with running(config, "fast", directory) as graph:
        yield graph


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """What `make run` starts."""
    with running(
        ROOT / "serve_config.embedded.yaml", "fast", tmp_path_factory.mktemp("embedded")
    ) as graph:
        yield graph


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of what the caller says: mono int16 at 24 kHz."""
    directory = tmp_path_factory.mktemp("speech")
    for name, text in SPOKEN.items():
        (directory / f"{name}.pcm").write_bytes(speak(text, RATE))
    return directory
