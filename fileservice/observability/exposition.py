"""The text that Prometheus reads (its text format, version 0.0.4), made by its client library.

The library counts as well, for several processes in files. That takes 7 to 10 µs for what one
request adds, which is more than all observation of a small download may cost, and a file for each
process that has ever been (decision 34). So only the text is made by it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from fileservice.observability.request_metrics import (
    BOUNDS,
    BUCKETS,
    COUNT,
    FAILED,
    LOOP,
    MOVED,
    RECEIVED,
    REQUEST,
    SECONDS,
    SENT,
    STAGE,
    STORE,
    TRANSFERS,
)
from fileservice.observability.shared_rows import GAUGE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sums = Mapping[str, list[float]]

_REFUSED = frozenset({"unauthenticated", "forbidden", "cross-site", "too-many-requests"})
"""Problems by which a request is answered that the principal may not make."""
_LINKS = {
    ("/links", "POST", 201): "made",
    ("/links/<link_id>", "DELETE", 204): "revoked",
    ("/s/<link_secret>/<name>", "GET", 200): "downloaded",
    ("/s/<link_secret>/<name>", "GET", 206): "downloaded",
    ("/s/<link_secret>", "POST", 201): "uploaded",
    ("/s/<link_secret>", "POST", 303): "uploaded",  # the form of a browser
}
"""What requests about links have done, by route, method and status."""


class StoreFigures(NamedTuple):
    """What the store says about itself; None where it does not say, or does not answer."""

    free_bytes: int | None = None
    free_files: int | None = None
    staged_bytes: int | None = None
    unfinished_uploads: int | None = None
    unfinished_bytes: int | None = None


class _Request(NamedTuple):
    route: str
    method: str
    status: int
    problem: str
    action: str
    numbers: list[float]

    @classmethod
    def parse(cls, text: str, numbers: list[float]) -> "_Request":
        _, route, method, status, problem, action = text.split("|")
        return cls(route or "other", method, int(status), problem, action, numbers)


def text(sums: Sums, store: StoreFigures, version: str) -> bytes:
    """Return the text about the sums of all rows, and about the store."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_from_rows(sums), *_of_store(store), _build(version)]))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _from_rows(sums: Sums) -> Iterable[Metric]:
    by_kind: dict[str, dict[str, list[float]]] = {}
    for row, numbers in sorted(sums.items()):
        kind, _, rest = row.partition("|")
        by_kind.setdefault(kind, {})[rest] = numbers
    requests = [
        _Request.parse(f"{REQUEST}|{rest}", numbers)
        for rest, numbers in by_kind.get(REQUEST, {}).items()
    ]
    yield from _about_requests(requests)
    yield from _moved_bytes(requests, by_kind.get(MOVED, {}))
    yield _histogram(
        "fileservice_upload_stage_seconds",
        "Durations of the parts of an upload; inspecting and hashing are parts of receiving.",
        "stage",
        by_kind.get(STAGE, {}),
    )
    yield from _about_store_calls(by_kind.get(STORE, {}))
    yield _histogram(
        "fileservice_loop_wait_seconds",
        "How long what was ready to run waited for its turn in the event loop of a worker.",
        "",
        by_kind.get(LOOP, {}),
    )
    gauges = {kind: numbers[0] for kind, numbers in by_kind.get(GAUGE.rstrip("|"), {}).items()}
    under_way = GaugeMetricFamily(
        "fileservice_transfers_under_way",
        "Files that are being received or sent.",
        None,
        ["direction"],
    )
    for direction in TRANSFERS:
        under_way.add_metric([direction], gauges.get(direction, 0.0))
    yield under_way
    yield GaugeMetricFamily(
        "fileservice_requests_under_way",
        "Requests that have begun and have not ended.",
        value=gauges.get("request", 0.0),
    )
    yield GaugeMetricFamily(
        "fileservice_workers", "Worker processes.", value=gauges.get("worker", 0.0)
    )


def _about_requests(requests: list[_Request]) -> Iterable[Metric]:
    total = _Counter("fileservice_requests", "Requests.", "route", "method", "status")
    problems = _Counter("fileservice_problems", "Problems that were answered.", "code")
    decisions = _Counter(
        "fileservice_access_decisions", "Whether principals could act.", "action", "decision"
    )
    links = _Counter("fileservice_links", "What was done with links.", "event")
    durations: dict[str, list[float]] = {}
    for request in requests:
        numbers = request.numbers
        total.add(numbers[COUNT], request.route, request.method, str(request.status))
        if request.problem:
            problems.add(numbers[COUNT], request.problem)
        if request.action:
            decision = request.problem if request.problem in _REFUSED else "allowed"
            decisions.add(numbers[COUNT], request.action, decision)
        event = _LINKS.get((request.route, request.method, request.status))
        if event:
            links.add(numbers[COUNT], event)
        before = durations.get(request.route, [0.0] * len(numbers))
        durations[request.route] = [a + b for a, b in zip(before, numbers, strict=True)]
    yield from (each.metric() for each in (total, problems, decisions, links))
    yield _histogram(
        "fileservice_request_seconds",
        "From the first byte of a request to the end of the response, transfers included.",
        "route",
        durations,
    )


def _moved_bytes(requests: list[_Request], moved: Mapping[str, list[float]]) -> Iterable[Metric]:
    """Return the bytes by route; `moved` are those counted before their requests ended."""
    received = _Counter("fileservice_received_bytes", "Bytes of the bodies of requests.", "route")
    sent = _Counter("fileservice_sent_bytes", "Bytes of the bodies of responses.", "route")
    by_route = [(request.route, request.numbers) for request in requests]
    for route, numbers in [*by_route, *moved.items()]:
        received.add(numbers[RECEIVED], route or "other")
        sent.add(numbers[SENT], route or "other")
    return received.metric(), sent.metric()


def _about_store_calls(calls: Mapping[str, list[float]]) -> Iterable[Metric]:
    yield _histogram(
        "fileservice_store_call_seconds", "Durations of calls of the store.", "call", calls
    )
    failed = _Counter("fileservice_store_errors", "Calls of the store that failed.", "call")
    for name, numbers in calls.items():
        failed.add(numbers[FAILED], name)
    yield failed.metric()


def _of_store(store: StoreFigures) -> Iterable[Metric]:
    meanings = {
        "free_bytes": "Bytes that may still be written to the store.",
        "free_files": "Files that may still be created in the store.",
        "staged_bytes": "Bytes of files that are being received.",
        "unfinished_uploads": "Resumable uploads that have not ended.",
        "unfinished_bytes": "Bytes of resumable uploads that have not ended.",
    }
    for name, meaning in meanings.items():
        value: int | None = getattr(store, name)
        if value is not None:
            yield GaugeMetricFamily(f"fileservice_store_{name}", meaning, value=value)


def _build(version: str) -> Metric:
    build = GaugeMetricFamily(
        "fileservice_build_info", "The version of the service.", None, ["version"]
    )
    build.add_metric([version], 1)
    return build


class _Counter:
    """Sums by the values of the labels that `by` names."""

    def __init__(self, name: str, meaning: str, *by: str) -> None:
        self._family = CounterMetricFamily(name, meaning, None, by)
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, count: float, *values: str) -> None:
        self._sums[values] = self._sums.get(values, 0.0) + count

    def metric(self) -> Metric:
        for values, count in self._sums.items():
            self._family.add_metric(values, count)
        return self._family


def _histogram(
    name: str, meaning: str, label: str, rows: Mapping[str, list[float]]
) -> HistogramMetricFamily:
    """Return a histogram of the buckets in rows; `rows` are by the values of the label."""
    family = HistogramMetricFamily(name, meaning, None, None, [label] if label else [])
    for value, numbers in rows.items():
        cumulated, buckets = 0.0, []
        counts = numbers[BUCKETS : BUCKETS + len(BOUNDS) + 1]
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], counts, strict=True):
            cumulated += count
            buckets.append((bound, cumulated))
        family.add_metric([value] if label else [], buckets, numbers[SECONDS])
    return family
