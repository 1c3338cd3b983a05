"""Sends spans by OTLP over HTTP, as the SDK's variables say. Imported only where tracing is on: an
environment without the exporter lacks nothing else."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer


def exporting_provider() -> TracerProvider:
    """It sends in batches, from a thread of its own, and what is left when the process ends."""
    named = SERVICE_NAME in OTELResourceDetector().detect().attributes
    provider = TracerProvider(resource=Resource.create({} if named else {SERVICE_NAME: "parley"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def exported_tracer() -> Tracer:
    """This process's tracer."""
    return exporting_provider().get_tracer("parley")
