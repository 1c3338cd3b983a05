"""The actor that keeps conversations in memory, without Ray around it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_app.resume import memory

KEEP_S = 0.2
LONG_S = 1.0


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set when the actor has itself ended."""
    event = threading.Event()
    monkeypatch.setattr(memory.ray, "kill", lambda _actor: event.set())
    monkeypatch.setattr(memory.ray, "get_runtime_context", lambda: _Context)
    yield event
    assert event.wait(5)


class _Context:
    current_actor = None


def an_actor() -> Any:
    """The class that Ray runs."""
    made: Any = memory.ConversationsActor
    return made.__ray_metadata__.modified_class(KEEP_S)


def test_it_ends_itself_when_it_keeps_nothing(ended: threading.Event) -> None:
    """It was made for a conversation, and none came."""
    an_actor()
    assert ended.wait(5)


def test_it_stays_while_a_conversation_can_be_come_back_to(ended: threading.Event) -> None:
    """For as long as the replica that wrote it says."""
    actor = an_actor()
    assert actor.put("key", "first", "anna", b"said", LONG_S)
    assert not ended.wait(2 * KEEP_S)
    assert actor.take("key", "second", "anna", LONG_S) == b"said"
    assert not actor.put("key", "first", "anna", b"late", LONG_S)
