"""What is counted of requests, as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

from fileservice.observability import (
    RequestMetrics,
    SharedRows,
    count_store_calls,
    take_store_calls,
)
from fileservice.observability.exposition import StoreFigures, text
from fileservice.request_record import RequestRecord, StageTimes
from tests.support.counted_calls import counted_calls

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def record(route: str = "/download/<name>", **facts: object) -> RequestRecord:
    made = RequestRecord("GET")
    made.route, made.action, made.status, made.seconds = route, "read", 200, 0.002
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def samples(rows: SharedRows, store: StoreFigures = StoreFigures()) -> Samples:  # noqa: B008  # never changed
    """The samples of the text, as another parser reads it."""
    families = text_string_to_metric_families(text(rows.sums(), store, "1.0").decode())
    return {
        (name, frozenset(of.items())): value
        for family in families
        for name, of, value, *_ in family.samples
    }


def sample(found: Samples, name: str, **of: str) -> float:
    return found[f"fileservice_{name}", frozenset(of.items())]


def test_requests_are_counted_by_route_method_and_status_over_workers() -> None:
    rows = SharedRows()
    for slot in (0, 1):
        ended = [record(status=status, sent=100, received=5) for status in (200, 200, 404)]
        RequestMetrics(rows.slot(slot)).observe(ended, (), 0.0)
    found = samples(rows)
    route = {"route": "/download/<name>"}
    assert sample(found, "requests_total", **route, method="GET", status="200") == 4
    assert sample(found, "requests_total", **route, method="GET", status="404") == 2
    assert sample(found, "sent_bytes_total", **route) == 600
    assert sample(found, "received_bytes_total", **route) == 30
    assert sample(found, "request_seconds_count", **route) == 6
    assert sample(found, "request_seconds_bucket", **route, le="0.001") == 0
    assert sample(found, "request_seconds_bucket", **route, le="0.0025") == 6
    assert sample(found, "request_seconds_bucket", **route, le="+Inf") == 6


def test_a_duration_at_a_bound_is_in_its_bucket_and_a_long_one_in_the_last() -> None:
    rows = SharedRows()
    ended = [record(seconds=0.25), record(seconds=100_000.0)]
    RequestMetrics(rows.slot(0)).observe(ended, (), 0.0)
    found = samples(rows)
    route = {"route": "/download/<name>"}
    assert sample(found, "request_seconds_bucket", **route, le="0.05") == 0
    assert sample(found, "request_seconds_bucket", **route, le="0.25") == 1
    assert sample(found, "request_seconds_bucket", **route, le="300.0") == 1
    assert sample(found, "request_seconds_bucket", **route, le="+Inf") == 2


def test_problems_and_decisions_are_counted() -> None:
    rows = SharedRows()
    ended = [
        record(status=403, problem="forbidden"),
        record(status=404, problem="not-found"),
        record(route="", action="", status=404, problem="not-found"),
    ]
    RequestMetrics(rows.slot(0)).observe(ended, (), 0.0)
    found = samples(rows)
    assert sample(found, "problems_total", code="not-found") == 2
    assert sample(found, "access_decisions_total", action="read", decision="forbidden") == 1
    assert sample(found, "access_decisions_total", action="read", decision="allowed") == 1
    assert sample(found, "requests_total", route="other", method="GET", status="404") == 1


def test_what_was_done_with_links_is_counted() -> None:
    rows = SharedRows()
    ended = [
        record(route="/s/<link_secret>/<name>", status=206),
        record(route="/links", method="POST", status=201),
        record(route="/links", method="POST", status=400),
    ]
    for status in (201, 303, 422):
        ended.append(record(route="/s/<link_secret>", method="POST", status=status))
    RequestMetrics(rows.slot(0)).observe(ended, (), 0.0)
    found = samples(rows)
    assert sample(found, "links_total", event="downloaded") == 1
    assert sample(found, "links_total", event="made") == 1
    assert sample(found, "links_total", event="uploaded") == 2


def test_methods_that_clients_invent_make_one_row() -> None:
    rows = SharedRows()
    metrics = RequestMetrics(rows.slot(0))
    ended = [record(method=f"METHOD{number}", status=405) for number in range(1000)]
    metrics.observe(ended, (), 0.0)
    metrics.observe((), (), 0.0)
    found = samples(rows)
    route = {"route": "/download/<name>"}
    assert sample(found, "requests_total", **route, method="other", status="405") == 1000
    assert sum(name == "fileservice_requests_total" for name, _ in found) == 1


def test_transfers_are_under_way_until_their_requests_end() -> None:
    rows = SharedRows()
    metrics = RequestMetrics(rows.slot(0))
    upload, download, other = record(), record(), record()
    upload.transfer, download.transfer = "upload", "download"
    metrics.observe((), {upload, download, other}, 0.0)
    found = samples(rows)
    assert sample(found, "transfers_under_way", direction="upload") == 1
    assert sample(found, "transfers_under_way", direction="download") == 1
    assert sample(found, "requests_under_way") == 3
    metrics.observe([upload, other], {download}, 0.0)
    found = samples(rows)
    assert sample(found, "transfers_under_way", direction="upload") == 0
    assert sample(found, "requests_under_way") == 1


class Transfer:
    """The body of a request or of a response, of which so many bytes have been moved."""

    def __init__(self) -> None:
        self.received = self.delivered = 0


def test_bytes_of_a_transfer_are_counted_while_it_runs_and_once() -> None:
    rows = SharedRows()
    metrics = RequestMetrics(rows.slot(0))
    download, body = record(transfer="download"), Transfer()
    download.streams = body, body
    under_way = {download}

    def counted(*ended: RequestRecord) -> tuple[float, float]:
        metrics.observe(ended, under_way, 0.0)
        found = samples(rows)
        route = {"route": "/download/<name>"}
        directions = ("sent_bytes_total", "received_bytes_total")
        return sample(found, directions[0], **route), sample(found, directions[1], **route)

    body.delivered = 1000
    assert counted() == (1000, 0)
    body.delivered, body.received = 3000, 7
    assert counted() == counted() == (3000, 7)
    download.sent, download.received = 3500, 8
    under_way.clear()
    assert counted(download, record(sent=100, received=1)) == counted() == (3600, 9)


def test_bytes_of_a_transfer_stay_counted_when_its_worker_is_killed() -> None:
    rows = SharedRows()
    upload, body = record("/upload/<name>", transfer="upload"), Transfer()
    upload.streams = body, body
    body.received = 5
    for under_way in ([upload], []):  # of the worker that is killed, and of the next one
        RequestMetrics(rows.slot(0)).observe((), under_way, 0.0)
    assert sample(samples(rows), "received_bytes_total", route="/upload/<name>") == 5


def test_stages_and_waits_of_the_loop_are_histograms() -> None:
    rows = SharedRows()
    made = record(stages=StageTimes())
    made.stages.add("hash", 0.5)
    made.stages.add("hash", 0.25)
    RequestMetrics(rows.slot(0)).observe([made], (), 0.3)
    found = samples(rows)
    assert sample(found, "upload_stage_seconds_sum", stage="hash") == 0.75
    assert sample(found, "upload_stage_seconds_count", stage="hash") == 1
    assert sample(found, "loop_wait_seconds_bucket", le="0.25") == 0
    assert sample(found, "loop_wait_seconds_bucket", le="1.0") == 1


class Failing:
    """A store of which one call works, one has an answer that is an error, and one fails."""

    name = "a"

    def stat(self) -> int:
        return 1

    def open(self) -> None:
        raise KeyError

    def check(self) -> None:
        raise OSError


def test_calls_of_a_store_are_counted_and_so_are_failures() -> None:
    take_store_calls()
    store = count_store_calls(Failing(), lambda error: isinstance(error, OSError))
    assert (store.name, store.stat(), store.stat()) == ("a", 1, 1)
    for call in (store.open, store.check):
        try:
            call()
        except (KeyError, OSError):
            continue
        raise AssertionError
    rows = SharedRows()
    RequestMetrics(rows.slot(0)).observe((), (), 0.0)
    found = samples(rows)
    assert sample(found, "store_call_seconds_count", call="stat") == 2
    assert sample(found, "store_call_seconds_count", call="open") == 1
    errors = {call: sample(found, "store_errors_total", call=call) for call in ("open", "check")}
    assert errors == {"open": 0, "check": 1}


def test_to_count_a_request_and_its_call_of_the_store_costs_few_calls() -> None:
    """Of functions in Python and in C, which do not depend on the machine."""
    metrics = RequestMetrics(SharedRows().slot(0))
    store = count_store_calls(Failing(), lambda _error: False)
    store.stat()
    metrics.observe((), (), 0.0)
    requests = [record() for _ in range(100)]
    with counted_calls(in_c=True) as calls:
        for _ in requests:
            store.stat()
        metrics.observe(requests, (), 0.0)
    assert calls.count <= 12 * len(requests)


def test_what_the_store_does_not_say_is_missing() -> None:
    found = samples(SharedRows(), StoreFigures(free_bytes=5))
    assert sample(found, "store_free_bytes") == 5
    assert not [name for name, _ in found if "staged" in name]
