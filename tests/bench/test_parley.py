"""The graph as the bench runs it."""

import yaml

from bench.plan import ENDPOINT_MS
from bench.systems.parley import graph_config
from serve_app.settings import Settings


def test_config_is_the_embedded_graph_with_timed_stages() -> None:
    """The settings are valid; stages are timed, and the pause alone ends a turn."""
    config = yaml.safe_load(graph_config(2, "reply"))
    settings = Settings(**config["applications"][0]["args"])
    assert {settings.stt.backend, settings.llm.backend, settings.tts.backend} == {"timed"}
    assert settings.tts.settings["slots"] == 2
    assert settings.turn.end_of_turn == "silence"
    assert settings.turn.endpoint_ms == ENDPOINT_MS
    assert settings.turn.speculation == "reply"
