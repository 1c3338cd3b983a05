"""Spans of OpenTelemetry: what a turn waited for, across replicas. Off unless OTLP has an endpoint.

The SDK reads its own variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME).
Where tracing is off, or a caller's trace is not sampled, every span is `NO_SPAN` and costs nothing.
A span's parent is handed on as its W3C `traceparent`: a string crosses handles as it is.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Protocol

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from deployments.logs import logger

log = logger("tracing")

SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROPAGATOR = TraceContextTextMapPropagator()
_CURRENT: ContextVar[str | None] = ContextVar("parley_traceparent", default=None)


class Span(Protocol):
    """A stretch of work. `traceparent` is its own, for its children; None: there are none."""

    @property
    def traceparent(self) -> str | None: ...

    def note(self, event: str) -> None:
        """Something happened within it."""
        ...

    def set(self, **attributes: str | float) -> None:
        """What is known of it now."""
        ...

    def end(self) -> None:
        """It is over. A second end does nothing."""
        ...


class _NoSpan:
    traceparent: str | None = None

    def note(self, event: str) -> None:
        pass

    def set(self, **attributes: str | float) -> None:
        pass

    def end(self) -> None:
        pass


NO_SPAN: Span = _NoSpan()


class _Recorded:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
        self.traceparent: str | None = carrier.get("traceparent")

    def note(self, event: str) -> None:
        self._span.add_event(event)

    def set(self, **attributes: str | float) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(f"parley.{name}", value)

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


@cache
def tracer() -> trace.Tracer | None:
    """This process's tracer; None where tracing is off."""
    if not any(os.environ.get(switch) for switch in SWITCHES):
        return None
    try:
        from deployments.otlp import exported_tracer
    except ImportError as error:
        log.warning("no spans from this process: %s is not installed here", error.name)
        return None
    return exported_tracer()


def begin(name: str, parent: str | None = None, **attributes: str | float) -> Span:
    """A new span; `parent` None: the first of its trace. Whoever begins it ends it."""
    made = tracer()
    if made is None:
        return NO_SPAN
    context = _PROPAGATOR.extract({"traceparent": parent} if parent else {})
    span = _Recorded(made.start_span(name, context))
    span.set(**attributes)
    return span


@contextmanager
def span(name: str, parent: str | None = None) -> Generator[Span, None, None]:
    """A span around a block, below `parent` or this task's; without either there is none.

    What ends the block early is named by its class alone: messages may quote what was said.
    """
    parent = parent or _CURRENT.get()
    begun = begin(name, parent) if parent else NO_SPAN
    try:
        yield begun
    except BaseException as error:
        begun.set(ended_by=type(error).__name__)
        raise
    finally:
        begun.end()


@contextmanager
def below(parent: Span) -> Generator[None, None, None]:
    """Tasks that the block starts work for this span."""
    token = _CURRENT.set(parent.traceparent)
    try:
        yield
    finally:
        _CURRENT.reset(token)
