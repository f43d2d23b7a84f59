"""A collector of OpenTelemetry: an HTTP server that decodes the spans that it receives (OTLP)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class ReceivedSpan:
    """A span; ids are in hexadecimal, times in nanoseconds since the Unix epoch."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def request_id(self) -> str:
        return str(self.attributes["fileservice.request_id"])


class Collector:
    """A collector on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        """Those of the requests that were answered 200."""
        self.refused = 0
        """How many requests were answered otherwise."""
        self.fields: list[dict[str, str]] = []
        self.answer: Callable[[], int] = lambda: 200
        """Returns the status that a request is answered with."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.fields.append(dict(self.headers))
                status = collector.answer()
                if status == 200:
                    collector.bodies.append(body)
                else:
                    collector.refused += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_of: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",  # milliseconds
        }
        """What a service needs to send its spans here, at once."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> list[ReceivedSpan]:
        """All spans, in the order in which they arrived."""
        return [span for body in list(self.bodies) for span in _decoded(body)]


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector."""
    running = Collector()
    try:
        yield running
    finally:
        running.close()


def _decoded(body: bytes) -> Iterator[ReceivedSpan]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield ReceivedSpan(
                    span.name,
                    span.kind,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    _values(span.attributes),
                    _values(of_resource.resource.attributes),
                )


def _values(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, str(pair.value.WhichOneof("value")))

    return {pair.key: value(pair) for pair in pairs}


SERVER = Span.SPAN_KIND_SERVER
