"""RequestMetrics: counts the requests of one worker.

All that is known of a request when it has ended is added to one row, of those that have the same
route, method, status, problem and action. What Prometheus asks for is computed from the rows when
it asks, so that a request costs no more than this.
"""

from bisect import bisect_left

from fileservice.observability.shared_rows import GAUGE, Row, Slot
from fileservice.observability.store_calls import take_store_calls
from fileservice.request_record import RequestRecord

BOUNDS = (0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0)
"""The upper bounds of the histograms' buckets, in seconds; the last bucket has none."""
COUNT, RECEIVED, SENT, SECONDS, BUCKETS = range(5)
"""The columns of a row; the buckets are the last of them, not cumulated."""
FAILED = RECEIVED
"""Of calls of the store, this column has how many failed."""
REQUEST, STAGE, STORE, LOOP = "request", "stage", "store", "loop"
"""What the texts of rows begin with, before a vertical bar."""
TRANSFERS = ("upload", "download")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """Counts in one slot; a RequestObserver, to be used in one thread."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._rows: dict[tuple[str, str, int, str, str], Row] = {}
        self._histograms: dict[tuple[str, str], Row] = {}
        self._under_way: set[RequestRecord] = set()
        self._loop = slot.row(f"{LOOP}|")
        self._gauges = {kind: slot.row(f"{GAUGE}{kind}") for kind in ("request", *TRANSFERS)}
        self._alive = slot.row(f"{GAUGE}worker")
        self._alive[0] = 1.0

    def begun(self, record: RequestRecord) -> None:
        """Count a request as under way."""
        self._under_way.add(record)

    def ended(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        self._under_way.discard(record)
        key = (record.route, record.method, record.status, record.problem, record.action)
        row = self._rows.get(key)
        if row is None:
            row = self._row_of(record)
            if record.method in _METHODS:  # what a client may choose freely is not kept
                self._rows[key] = row
        seconds = record.seconds
        row[COUNT] += 1.0
        row[SECONDS] += seconds
        row[BUCKETS + bisect_left(BOUNDS, seconds)] += 1.0
        if record.received:
            row[RECEIVED] += record.received
        if record.sent:
            row[SENT] += record.sent
        for stage, duration in record.stages.items():
            self._add(STAGE, stage, duration)

    def waited(self, seconds: float) -> None:
        """Count how long the event loop kept waiting what was ready, and what else there is."""
        self._observe(self._loop, max(0.0, seconds))
        self.count_others()

    def count_others(self) -> None:
        """Count what is under way now, and the calls of the store."""
        for name, seconds, failed in take_store_calls():
            row = self._add(STORE, name, seconds)
            row[FAILED] += failed
        counts = dict.fromkeys(TRANSFERS, 0)
        for record in self._under_way:
            if record.transfer:
                counts[record.transfer] += 1
        self._gauges["request"][0] = len(self._under_way)
        for kind, count in counts.items():
            self._gauges[kind][0] = count

    def _row_of(self, record: RequestRecord) -> Row:
        method = record.method if record.method in _METHODS else "other"
        return self._slot.row(
            f"{REQUEST}|{record.route}|{method}|{record.status}|{record.problem}|{record.action}"
        )

    def _add(self, kind: str, name: str, seconds: float) -> Row:
        row = self._histograms.get((kind, name))
        if row is None:
            row = self._histograms[kind, name] = self._slot.row(f"{kind}|{name}")
        self._observe(row, seconds)
        return row

    @staticmethod
    def _observe(row: Row, seconds: float) -> None:
        row[COUNT] += 1.0
        row[SECONDS] += seconds
        row[BUCKETS + bisect_left(BOUNDS, seconds)] += 1.0
