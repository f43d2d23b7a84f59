"""Observability: what is counted of the requests of all workers, and the spans of requests.

`RequestMetrics` counts the requests of one worker in `SharedRows`, and `exposition.text` makes the
text of all workers from them, for Prometheus. `RequestSpans` describes the requests that a
`Sampler` selects to a `SpanProcess`, which sends them by OpenTelemetry. What other packages may use
is exported here, but for `exposition` and `span_exporter`, which load libraries for that.
"""

from fileservice.observability.request_metrics import RequestMetrics
from fileservice.observability.request_spans import RequestSpans
from fileservice.observability.sampling import Sampler
from fileservice.observability.shared_rows import SharedRows, share_rows, shared_rows
from fileservice.observability.span_process import SpanProcess, check_spans
from fileservice.observability.store_calls import StoreCalls, count_store_calls, take_store_calls

__all__ = [
    "RequestMetrics",
    "RequestSpans",
    "Sampler",
    "SharedRows",
    "SpanProcess",
    "StoreCalls",
    "check_spans",
    "count_store_calls",
    "share_rows",
    "shared_rows",
    "take_store_calls",
]
