"""What the stages' shells measure and trace, without Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any
from unittest.mock import MagicMock, call

import pytest

from deployments import stage_metrics, tracing
from deployments.contracts import Overloaded, ReplyRequest, SpeechRequest, SpeechWindow
from deployments.stt import THREADS
from tests.deployments.fake_recognisers import Gate, Windows
from tests.deployments.fake_recognisers import serving as recognising
from tests.deployments.test_llm import Model, QuietReplica
from tests.deployments.test_tts import Voice, busy, reading
from tests.deployments.test_tts import serving as speaking
from tests.spans import Spans, spans

__all__ = ["spans"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[MagicMock]:
    """The metrics, recorded."""
    made = MagicMock()
    monkeypatch.setattr(stage_metrics, "_metrics", lambda: made)
    return made


@pytest.fixture
async def recogniser() -> AsyncIterator[Any]:
    """A replica whose windows are decoded at once."""
    gate = Gate()
    async with recognising(Windows(gate), gate) as replica:
        yield replica


async def test_the_time_of_a_window(recogniser: Any, recorded: MagicMock) -> None:
    """Partials and finals apart: only finals are waited for."""
    for final in (False, True):
        await recogniser.transcribe(SpeechWindow(b"\0\0", final))
    tags = [entry.kwargs["tags"] for entry in recorded.window_ms.observe.mock_calls]
    assert tags == [{"window": "partial"}, {"window": "final"}]
    assert all(0 <= entry.args[0] < 5_000 for entry in recorded.window_ms.observe.mock_calls)


async def test_partials_that_were_refused(recogniser: Any, recorded: MagicMock) -> None:
    """They are counted: it is the first that is shed under load."""
    recogniser._running = THREADS
    with pytest.raises(Overloaded):
        await recogniser.transcribe(SpeechWindow(b"\0\0", False))
    recogniser._running = 0
    assert recorded.mock_calls == [call.refused.inc(tags={"stage": "stt"})]


async def test_a_phrases_wait(recorded: MagicMock) -> None:
    """From the request to its slot, by urgency."""
    voice = Voice(blocks=True)
    replica = speaking(voice)
    running = await busy(voice, replica)
    waiting = reading(replica, "waits", "later")
    voice.go_on.set()
    await running
    await waiting
    tags = [entry.kwargs["tags"] for entry in recorded.wait_ms.observe.mock_calls]
    assert tags == [{"urgency": "first"}, {"urgency": "later"}]


async def test_a_voices_room_is_told_at_each_health_check(recorded: MagicMock) -> None:
    """A gauge that is not set again is gone from Ray's export."""
    replica = speaking(Voice())
    for _ in range(2):
        await replica.check_health()
    assert recorded.running.set.mock_calls == [call(0)] * 2
    assert recorded.late_ms.set.mock_calls == [call(0)] * 2


async def test_the_replicas_spans(recogniser: Any, spans: Spans) -> None:
    """Below the hop that asked for them."""
    model: Any = QuietReplica.__new__(QuietReplica)
    await model.serve_backend(Model("Hi."))
    hop = tracing.begin("hop")
    await recogniser.transcribe(SpeechWindow(b"\0\0", True, trace=hop.traceparent))
    work = (
        model.reply(ReplyRequest((), trace=hop.traceparent)),
        speaking(Voice()).speak(SpeechRequest("hi", trace=hop.traceparent)),
    )
    for stream in work:
        async with aclosing(stream) as items:
            assert [item async for item in items]
    hop.end()
    assert spans.tree() == {
        "": ["hop"],
        "hop": ["stt.decode", "llm.write", "tts.wait", "tts.speak"],
    }
