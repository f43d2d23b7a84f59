"""RequestSpans: a span of OpenTelemetry for each request, when it has ended.

A span is described by values of the service's own: a route and never a path, how a request ended in
one word. So no name of a file, no secret of a link and no text of a client is in it. The spans are
made, encoded and sent by another process (`span_process`, `span_exporter`).
"""

import time
from collections.abc import Sequence
from typing import Protocol

from fileservice.observability.sampling import Sampler, is_sampled
from fileservice.request_record import RequestRecord

SpanFacts = list[str | int | float | dict[str, float] | None]
"""What is known of a request, in the order of FIELDS."""
FIELDS = (
    "trace_context",
    "parent_span",
    "end",
    "seconds",
    "method",
    "route",
    "status",
    "scheme",
    "client",
    "protocol",
    "received",
    "sent",
    "request_id",
    "action",
    "problem",
    "outcome",
    "stages",
)
_FLUSH_SECONDS = 1.0
"""So long, a worker that ends waits until its last spans are received."""


class SpanSink(Protocol):
    """Where spans go."""

    def send(self, spans: Sequence[SpanFacts]) -> None:
        """Send spans, or leave them out; never wait. Called ten times a second, if for none."""

    def close(self, seconds: float) -> None:
        """Wait until what was sent is received, but not longer than so many seconds."""


class RequestSpans:
    """Describes the requests of one worker to a sink; a RequestObserver."""

    def __init__(self, sampler: Sampler, sink: SpanSink) -> None:
        self._sampler = sampler
        self._sink = sink
        self._ended: list[SpanFacts] = []

    def begun(self, record: RequestRecord) -> None:
        """Do nothing: a request has its span when it has ended."""

    def ended(self, record: RequestRecord) -> None:
        """Describe a request, if it is sampled."""
        # The application makes the context of the requests that it sees.
        context = record.span or self._sampler.trace_context(record)
        if not is_sampled(context):
            return
        self._ended.append(
            [
                context,
                record.parent[36:52],
                time.time_ns(),
                record.seconds,
                record.method,
                record.route,
                record.status,
                record.scheme,
                record.client,
                record.protocol,
                record.received,
                record.sent,
                record.id,
                record.action,
                record.problem,
                record.outcome.partition(":")[0],
                dict(record.stages) or None,
            ]
        )

    def waited(self, seconds: float) -> None:  # noqa: ARG002  # a RequestObserver
        """Pass on all that has ended."""
        ended, self._ended = self._ended, []
        self._sink.send(ended)

    def flush(self) -> None:
        """Pass on the last spans, and wait a moment until they are received."""
        self.waited(0.0)
        self._sink.close(_FLUSH_SECONDS)
