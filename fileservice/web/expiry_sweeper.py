"""Removal of expired files, beside requests and in a worker that gets none."""

import logging
import time

import gevent

from fileservice.storage import StorageError, describe_error
from fileservice.upload import UploadContext, remove_expired_files

_log = logging.getLogger(__name__)
_INTERVAL = 5.0
_REMOTE_INTERVAL = 60.0
"""A bucket keeps expired files for an hour, so there is no hurry, and every listing costs money."""


class ExpirySweeper:
    """Removes the files that have expired, every few seconds at most."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context
        self._interval = _REMOTE_INTERVAL if context.store.remote else _INTERVAL
        self._next_sweep = 0.0
        self._sweeping = False

    def start(self) -> None:
        """Sweep again and again, beginning now, as long as the event loop of gevent runs."""
        gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            self.sweep_if_due()
            gevent.sleep(self._interval)

    def sweep_if_due(self) -> None:
        """Begin a sweep beside the request, unless one runs or the last one was a moment ago."""
        if time.monotonic() >= self._next_sweep and not self._sweeping:
            self._sweeping = True
            self._next_sweep = time.monotonic() + self._interval
            self._context.executor.submit(self._sweep)

    def _sweep(self) -> None:
        try:
            remove_expired_files(self._context)
        except StorageError as error:
            _log.warning("expired files could not be looked for: %s", describe_error(error))
        except Exception:  # noqa: BLE001  # no request waits for the result
            _log.exception("removing expired files failed")
        finally:
            self._sweeping = False
