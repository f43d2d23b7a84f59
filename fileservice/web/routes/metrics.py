"""GET /metrics: what is counted of all workers, for Prometheus."""

from collections.abc import Callable

from flask import Blueprint, Response

from fileservice import __version__
from fileservice.access import Action
from fileservice.executor import Executor
from fileservice.observability import SharedRows
from fileservice.observability.exposition import CONTENT_TYPE, StoreFigures, text
from fileservice.storage import StorageError, Store
from fileservice.web.door import requires
from fileservice.web.routes.health import SharedCheck

_SECONDS = 5.0
"""So long, a measurement counts."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def routes(rows: SharedRows, figures: Callable[[], StoreFigures]) -> Blueprint:
    """Return the route. `figures` may raise a StorageError, and then there are none."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    @requires(Action.READ_METRICS)
    def metrics() -> Response:
        try:
            measured = figures()
        except StorageError:
            measured = StoreFigures()
        body = text(rows.sums(), measured, __version__)
        return Response(body, content_type=CONTENT_TYPE, headers=_HEADERS)

    return blueprint


class StoreMeasurements:
    """Measures the store, at most once in some seconds, and waits only briefly if that hangs."""

    def __init__(self, store: Store, executor: Executor) -> None:
        """The executor must not share threads with other work: measuring a disk may hang."""
        self._latest = StoreFigures()
        self._store = store
        self._health = SharedCheck(self._measure, interval=_SECONDS, run=executor.run_io)

    def figures(self) -> StoreFigures:
        """Return what was measured last. Raise StorageError if it could not be."""
        self._health.require()
        return self._latest

    def _measure(self) -> None:
        store = self._store
        sizes = [upload.size for upload in store.uploads.list_unfinished()]
        known = [size for size in sizes if size is not None]
        self._latest = StoreFigures(
            free_bytes=store.free_space(),
            free_files=store.free_files(),
            staged_bytes=store.staged_bytes(),
            unfinished_uploads=len(sizes),
            unfinished_bytes=sum(known) if len(known) == len(sizes) else None,
        )
