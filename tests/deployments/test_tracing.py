"""Tracing: on where OTLP has an endpoint, parents handed on as strings, no words in spans."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from deployments import otlp, tracing
from tests.otlp_collector import collecting
from tests.spans import Spans, spans

__all__ = ["spans"]


@pytest.fixture
def fresh_tracer(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No variable is set, and what a process found out once is forgotten."""
    for switch in tracing.SWITCHES:
        monkeypatch.delenv(switch, raising=False)
    tracing.tracer.cache_clear()
    yield monkeypatch
    tracing.tracer.cache_clear()


def test_off_by_default(fresh_tracer: pytest.MonkeyPatch) -> None:
    """Nothing is made, and nothing travels."""
    del fresh_tracer
    assert tracing.begin("turn") is tracing.NO_SPAN
    with tracing.span("stt", "00-" + "1" * 32 + "-" + "1" * 16 + "-01") as span:
        assert span.traceparent is None


@pytest.mark.parametrize("switch", tracing.SWITCHES)
def test_an_endpoint_switches_it_on(fresh_tracer: pytest.MonkeyPatch, switch: str) -> None:
    """Either variable of the SDK's does."""
    made = object()
    fresh_tracer.setenv(switch, "http://127.0.0.1:4318")
    fresh_tracer.setattr(otlp, "exported_tracer", lambda: made)
    assert tracing.tracer() is made


def test_the_sdks_own_switch_holds(fresh_tracer: pytest.MonkeyPatch) -> None:
    """OTEL_SDK_DISABLED: spans that are none, and nothing travels."""
    fresh_tracer.setenv(tracing.SWITCHES[0], "http://127.0.0.1:1")
    fresh_tracer.setenv("OTEL_SDK_DISABLED", "true")
    turn = tracing.begin("turn", call_id="call-1")
    turn.end()
    assert turn.traceparent is None


def test_without_the_exporter_it_stays_off(
    fresh_tracer: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An environment that lacks the library goes on, and says so once."""
    fresh_tracer.setenv(tracing.SWITCHES[0], "http://127.0.0.1:4318")
    fresh_tracer.setitem(sys.modules, "deployments.otlp", None)
    assert tracing.begin("turn") is tracing.begin("turn") is tracing.NO_SPAN
    assert caplog.text.count("no spans from this process") == 1


def test_children_know_their_parent_by_a_string(spans: Spans) -> None:
    """As across a handle: another task, another process."""
    turn = tracing.begin("turn", call_id="call-1")
    with tracing.below(turn), tracing.span("stt transcribe") as asked:
        sent = asked.traceparent
    with tracing.span("stt.decode", sent):
        pass
    turn.end()
    turn.end()
    assert spans.tree() == {
        "": ["turn"],
        "turn": ["stt transcribe"],
        "stt transcribe": ["stt.decode"],
    }
    assert spans.named("turn").attributes == {"parley.call_id": "call-1"}


def test_without_a_parent_there_is_no_span(spans: Spans) -> None:
    """What no turn waits for (a voice that is registered, say) makes no trace."""
    with tracing.span("tts voices") as span:
        assert span.traceparent is None
    assert spans.ended == ()


def test_a_failure_is_named_and_not_quoted(spans: Spans) -> None:
    """A message may hold what a caller said."""
    turn = tracing.begin("turn")
    with pytest.raises(ValueError), tracing.span("llm reply", turn.traceparent):
        raise ValueError("my secret")
    turn.end()
    failed = spans.named("llm reply")
    assert failed.attributes == {"parley.ended_by": "ValueError"}
    assert not failed.events
    assert "secret" not in failed.to_json()


def test_spans_go_out_by_otlp(fresh_tracer: pytest.MonkeyPatch) -> None:
    """To the endpoint of the SDK's variable, under its service name."""
    with collecting() as collector:
        fresh_tracer.setenv(tracing.SWITCHES[0], collector.url)
        provider = otlp.exporting_provider()
        provider.get_tracer("parley").start_span("turn").end()
        provider.shutdown()
    assert [(span.service, span.name) for span in collector.spans] == [("parley", "turn")]
