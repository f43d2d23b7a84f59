"""Observability: what is counted of the requests of all workers, and how it is told to Prometheus.

`RequestMetrics` counts the requests of one worker in `SharedRows`, and `exposition.text` makes the
text of all workers from them. What other packages may use is exported here, but for `exposition`,
which loads the client library of Prometheus.
"""

from fileservice.observability.request_metrics import RequestMetrics
from fileservice.observability.shared_rows import SharedRows, share_rows, shared_rows
from fileservice.observability.store_calls import StoreCall, count_store_calls, take_store_calls

__all__ = [
    "RequestMetrics",
    "SharedRows",
    "StoreCall",
    "count_store_calls",
    "share_rows",
    "shared_rows",
    "take_store_calls",
]
