"""RequestSpans: a span of OpenTelemetry for each request, when it has ended.

A span is described by values of the service's own: a route and never a path, how a request ended in
one word. So no name of a file, no secret of a link and no text of a client is in it. The spans are
made, encoded and sent by another process (`span_process`, `span_exporter`).
"""

import time
from collections.abc import Collection, Sequence
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
_CLOSE_SECONDS = 1.0
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

    def observe(
        self,
        ended: Sequence[RequestRecord],
        under_way: Collection[RequestRecord],  # noqa: ARG002  # they have no span yet
        waited: float,  # noqa: ARG002
    ) -> None:
        """Pass on the spans of the requests that have ended, of those that are sampled."""
        epoch = time.time() - time.monotonic()
        spans = []
        for record in ended:
            # The application makes the context of the requests that it sees.
            context = record.span or self._sampler.trace_context(record)
            if is_sampled(context):
                spans.append(_span_facts(record, context, epoch))
        self._sink.send(spans)

    def close(self) -> None:
        """Wait a moment until the last spans are received."""
        self._sink.close(_CLOSE_SECONDS)


def _span_facts(record: RequestRecord, context: str, epoch: float) -> SpanFacts:
    return [
        context,
        record.parent[36:52],
        int((epoch + record.ended) * 1e9),
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
