"""A collector of OTLP over HTTP, at a free port, that keeps the spans it is sent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Sent:
    """One span."""

    service: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """Where it is, and what came."""

    url: str
    spans: list[Sent] = field(default_factory=list)

    def keep(self, body: bytes) -> None:
        """Take an export apart."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    said = {a.key: str(a.value) for a in span.attributes}
                    ids = (span.trace_id, span.span_id, span.parent_span_id)
                    self.spans.append(Sent(of["service.name"], *ids, span.name, said))


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.keep(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
