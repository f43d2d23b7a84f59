"""RequestMetrics: counts the requests of one worker.

All that is known of a request when it has ended is added to one row, of those that have the same
route, method, status, problem and action. The bytes of a transfer that takes longer are added to
the row of its route while it runs, and only the rest of them at its end. What Prometheus asks for
is computed from the rows when it asks.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter

from fileservice.observability.shared_rows import GAUGE, Row, Slot
from fileservice.observability.store_calls import take_store_calls
from fileservice.request_record import RequestRecord

BOUNDS = (0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0)
"""The upper bounds of the histograms' buckets, in seconds; the last bucket has none."""
COUNT, RECEIVED, SENT, SECONDS, BUCKETS = range(5)
"""The columns of a row; the buckets are the last of them, not cumulated."""
FAILED = RECEIVED
"""Of calls of the store, this column has how many failed."""
REQUEST, MOVED, STAGE, STORE, LOOP = "request", "moved", "stage", "store", "loop"
"""What the texts of rows begin with, before a vertical bar."""
TRANSFERS = ("upload", "download")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


Key = tuple[str, str, int, str, str]
_key_of: Callable[[RequestRecord], Key] = attrgetter(
    "route", "method", "status", "problem", "action"
)


class RequestMetrics:
    """Counts in one slot; a RequestObserver, to be used in one thread.

    Many requests have the same row, so they are counted together. A worker that is killed loses
    what it has not counted.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        # Bytes received and sent of transfers under way that were counted.
        self._counted: dict[RequestRecord, tuple[int, int]] = {}
        self._gauges = {kind: slot.row(f"{GAUGE}{kind}") for kind in ("request", *TRANSFERS)}
        slot.row(f"{GAUGE}worker")[0] = 1.0

    def observe(
        self, ended: Sequence[RequestRecord], under_way: Collection[RequestRecord], waited: float
    ) -> None:
        """Count what has ended, what is under way, and how long the event loop kept it waiting."""
        self._observe(self._slot.row(f"{LOOP}|"), [max(0.0, waited)])
        self._count_ended(ended, self._counted_of_others(under_way))
        for name, calls in take_store_calls().items():
            row = self._slot.row(f"{STORE}|{name}")
            self._observe(row, calls.seconds)
            row[FAILED] += calls.failed
        self._gauges["request"][0] = len(under_way)
        transfers = [record.transfer for record in under_way]
        for kind in TRANSFERS:
            self._gauges[kind][0] = transfers.count(kind)
        for record in under_way:
            if record.transfer:
                self._count_moved(record)

    def close(self) -> None:
        """Do nothing: all requests have been counted."""

    def _count_ended(
        self, ended: Sequence[RequestRecord], counted: dict[Key, tuple[int, int]]
    ) -> None:
        """Count requests; the bytes in `counted` were counted before."""
        by_key: dict[Key, list[RequestRecord]] = {}
        for record in ended:
            by_key.setdefault(_key_of(record), []).append(record)
        durations: dict[str, list[float]] = {}
        for key, records in by_key.items():
            row = self._row_of(key)
            self._observe(row, [record.seconds for record in records])
            received, sent = counted.get(key, (0, 0))
            row[RECEIVED] += sum(record.received for record in records) - received
            row[SENT] += sum(record.sent for record in records) - sent
            for record in records:
                if record.stages:
                    for stage, seconds in record.stages.items():
                        durations.setdefault(f"{STAGE}|{stage}", []).append(seconds)
        for text, found in durations.items():
            self._observe(self._slot.row(text), found)

    def _count_moved(self, record: RequestRecord) -> None:
        """Count what a transfer has moved since it was counted last."""
        received, sent = moved = record.moved()
        received_before, sent_before = self._counted.get(record, (0, 0))
        row = self._slot.row(f"{MOVED}|{record.route}")
        row[RECEIVED] += received - received_before
        row[SENT] += sent - sent_before
        self._counted[record] = moved

    def _counted_of_others(
        self, under_way: Collection[RequestRecord]
    ) -> dict[Key, tuple[int, int]]:
        """Return, by the keys of their rows, what was counted of transfers that have ended since.

        It is not subtracted from where it was counted: a counter must not become less for a moment.
        """
        sums: dict[Key, tuple[int, int]] = {}
        for record in [each for each in self._counted if each not in under_way]:
            received, sent = self._counted.pop(record)
            key = _key_of(record)
            others = sums.get(key, (0, 0))
            sums[key] = others[0] + received, others[1] + sent
        return sums

    def _row_of(self, key: Key) -> Row:
        route, method, status, problem, action = key
        if method not in _METHODS:  # what a client may choose freely is not kept
            method = "other"
        return self._slot.row(f"{REQUEST}|{route}|{method}|{status}|{problem}|{action}")

    @staticmethod
    def _observe(row: Row, durations: list[float]) -> None:
        """Add durations in seconds to a row."""
        row[COUNT] += len(durations)
        row[SECONDS] += sum(durations)
        durations.sort()
        shorter = 0
        for bucket, bound in enumerate(BOUNDS, BUCKETS):
            count = bisect_right(durations, bound)
            if count > shorter:
                row[bucket] += count - shorter
                shorter = count
            if shorter == len(durations):
                return
        row[BUCKETS + len(BOUNDS)] += len(durations) - shorter
