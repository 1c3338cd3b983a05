"""Spans kept in memory, in place of an exporter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments import tracing


class Spans:
    """What was exported so far."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        """All of them, in the order in which they ended."""
        return self._exporter.get_finished_spans()

    def tree(self) -> dict[str, list[str]]:
        """Below each span's name its children's, in the order in which they began; "" is none."""
        names = {span.context.span_id: span.name for span in self.ended}
        below: dict[str, list[str]] = {}
        for span in sorted(self.ended, key=lambda span: span.start_time or 0):
            parent = names[span.parent.span_id] if span.parent else ""
            below.setdefault(parent, []).append(span.name)
        return below

    def named(self, name: str) -> ReadableSpan:
        """The only one of a name."""
        [found] = [span for span in self.ended if span.name == name]
        return found


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing is on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", lambda: provider.get_tracer("test"))
    yield Spans(exporter)
    provider.shutdown()
