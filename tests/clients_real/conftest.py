"""The graph that the clients of others talk with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.graph import ROOT, Graph, running


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """What `make run` starts."""
    directory = tmp_path_factory.mktemp("embedded")
    with running(ROOT / "serve_config.embedded.yaml", "fast", directory) as graph:
        yield graph
