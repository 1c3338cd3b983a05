"""How a stage comes up: what is told of each step, and waiting for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from deployments import loading, progress
from deployments.contracts import LoadFailed


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What is told, in order."""
    said: list[tuple[str, ...]] = []
    for name in ("tell", "tell_failed", "tell_ready"):
        monkeypatch.setattr(progress, name, lambda *words, name=name: said.append((name, *words)))
    return said


def test_every_step_is_told(told: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """That it loads, what it downloads, that it loads on, and that it is ready."""

    @contextmanager
    def watched(tell: Callable[[str | None], None]) -> Iterator[None]:
        tell("downloading org/model: 1 MB")
        tell(None)
        yield

    monkeypatch.setattr(loading, "watched", watched)
    with loading.loading("tts"):
        assert told == [
            ("tell", "tts", "loading and warming up"),
            ("tell", "tts", "downloading org/model: 1 MB"),
            ("tell", "tts", "loading and warming up"),
        ]
    assert told[3:] == [("tell_ready", "tts")]


def test_what_cannot_load_is_told_and_raised(told: list[tuple[str, ...]]) -> None:
    """For whoever reads it, and for Serve."""
    with pytest.raises(LoadFailed), loading.loading("stt"):
        raise LoadFailed("no\nsuch file")
    assert told[-1] == ("tell_failed", "stt", "no such file")


def test_a_failure_that_may_pass_is_not_told_as_one(told: list[tuple[str, ...]]) -> None:
    """Serve tries it again."""
    with pytest.raises(RuntimeError), loading.loading("stt"):
        raise RuntimeError("out of memory, for now")
    assert [kind for kind, *_ in told] == ["tell"]


class Cluster:
    """Serve's status, a later one at each look."""

    def __init__(self, *looks: dict[str, int]) -> None:
        self.looks = list(looks)

    def status(self) -> Any:
        """As `ray.serve.status`."""
        counts = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        deployments = {
            name: SimpleNamespace(replica_states={"RUNNING": n, "STARTING": 2})
            for name, n in counts.items()
        }
        return SimpleNamespace(applications={"parley": SimpleNamespace(deployments=deployments)})

    def get_replica_context(self) -> Any:
        """As `ray.serve.get_replica_context`."""
        return SimpleNamespace(app_name="parley")


async def test_nothing_to_wait_for_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph without a plan does not need Serve's status."""
    monkeypatch.setattr(loading, "serve", None)
    await loading.others_loaded("llm", {})


async def test_every_replica_of_the_others_is_waited_for(
    told: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two is not enough, and what is missing is told once."""
    looks: list[dict[str, int]] = [
        {},
        {"SpeechToText": 0, "TextToSpeech": 1},
        {"SpeechToText": 1, "TextToSpeech": 1},
        {"SpeechToText": 1, "TextToSpeech": 1},
        {"SpeechToText": 1, "TextToSpeech": 2},
    ]
    cluster = Cluster(*looks)
    monkeypatch.setattr(loading, "serve", cluster)
    monkeypatch.setattr(loading, "POLL_S", 0.001)
    await loading.others_loaded("llm", {"SpeechToText": 1, "TextToSpeech": 2})
    assert len(cluster.looks) == 1
    assert told == [
        ("tell", "llm", "waiting for SpeechToText and TextToSpeech"),
        ("tell", "llm", "waiting for TextToSpeech"),
    ]


async def test_a_stage_that_never_loads_is_not_waited_for_for_ever(
    told: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The model then loads, and the log says who did not."""
    monkeypatch.setattr(loading, "serve", Cluster({"SpeechToText": 0}))
    monkeypatch.setattr(loading, "POLL_S", 0.001)
    monkeypatch.setattr(loading, "LOAD_AFTER_LIMIT_S", 0.01)
    monkeypatch.setattr(loading.log, "propagate", True)
    await loading.others_loaded("llm", {"SpeechToText": 1})
    assert "SpeechToText did not" in caplog.text
    assert told == [("tell", "llm", "waiting for SpeechToText")]
