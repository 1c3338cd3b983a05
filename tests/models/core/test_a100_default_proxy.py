"""The A100 graph over real libraries, behind Serve's own proxy: as `serve run` starts it."""

from __future__ import annotations

import pytest

from tests.models.core.a100 import a100_graph, hold_a_conversation


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
async def test_a_conversation_is_held(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Streams take another way there: by the calls of Ray itself, not by gRPC."""
    with a100_graph("default", tmp_path_factory) as graph:
        await hold_a_conversation(graph)
