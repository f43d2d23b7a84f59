"""Maintenance of the store, done beside requests: there is no process for it."""

import logging
import time
from dataclasses import dataclass

from fileservice.access import LinkStore
from fileservice.executor import Executor
from fileservice.storage import StorageError, Store, describe_error
from fileservice.upload import ResumableUploads

_log = logging.getLogger(__name__)
_FULL_SWEEP_INTERVAL = 3600.0
_EMPTY_UPLOADS_INTERVAL = 300.0


@dataclass(frozen=True, slots=True)
class Swept:
    """How much was removed."""

    uploads: int
    """Those that were unfinished and have expired."""
    links: int
    """Those that have been over for a long time."""


def sweep(store: Store, uploads: ResumableUploads, links: LinkStore) -> Swept:
    """Remove what is to be removed now. Blocks. Raise StorageError."""
    store.sweep()
    expired = uploads.sweep()
    forgotten = links.sweep()
    for principal in forgotten:
        store.usage.remove(principal)
    return Swept(expired, len(forgotten))


class Sweeper:
    """Removes what writers that died have left, uploads that have expired, and links long over.

    Everything is swept once an hour; resumable uploads that have received no byte are swept every
    five minutes, since they expire sooner. Both happen more often if uploads expire within less:
    `upload_expiry` is in seconds.
    """

    def __init__(
        self,
        store: Store,
        uploads: ResumableUploads,
        links: LinkStore,
        executor: Executor,
        upload_expiry: float,
    ) -> None:
        self._store = store
        self._links = links
        self._uploads = uploads
        self._executor = executor
        self._full_interval = min(_FULL_SWEEP_INTERVAL, upload_expiry)
        self._interval = min(_EMPTY_UPLOADS_INTERVAL, upload_expiry)
        self._next_sweep = 0.0
        self._next_full_sweep = 0.0
        self._sweeping = False

    def sweep_if_due(self) -> None:
        """Begin a sweep beside the request, unless one runs or the last one was a moment ago."""
        if time.monotonic() > self._next_sweep and not self._sweeping:
            self._sweeping = True
            self._next_sweep = time.monotonic() + self._interval
            self._executor.submit(self._sweep)

    def _sweep(self) -> None:
        try:
            if time.monotonic() > self._next_full_sweep:
                self._next_full_sweep = time.monotonic() + self._full_interval
                sweep(self._store, self._uploads, self._links)
            else:
                self._uploads.sweep_empty()
        except StorageError as error:
            _log.warning("the store could not be swept: %s", describe_error(error))
        except Exception:  # noqa: BLE001  # no request waits for the result
            _log.exception("sweeping the store failed")
        finally:
            self._sweeping = False
