"""Service: what the routes are given to work with."""

import logging
import time
from dataclasses import dataclass, field
from urllib.parse import quote
from wsgiref.util import application_uri

from flask import request

from fileservice.executor import Executor
from fileservice.storage import StorageError, Store, describe_error
from fileservice.upload import ResumableUploads, UploadContext, UploadPolicy
from fileservice.web.search_limit import Searches

_log = logging.getLogger(__name__)
_SWEEP_INTERVAL = 3600.0
_UNBEGUN_INTERVAL = 300.0


@dataclass(slots=True)
class Service:
    """The parts that `app` put together; durations in seconds."""

    store: Store
    policy: UploadPolicy
    executor: Executor
    idle_timeout: float
    public_url: str | None
    upload_expiry: float
    download_redirect: bool = False
    """Send those who want a file to where the store has it."""
    upload_context: UploadContext = field(init=False)
    resumable_uploads: ResumableUploads = field(init=False)
    searches: Searches = field(default_factory=Searches)
    _next_sweep: float = 0.0
    _next_full_sweep: float = 0.0
    _sweeping: bool = False

    def __post_init__(self) -> None:
        self.upload_context = UploadContext(self.store, self.policy, self.executor)
        self.resumable_uploads = ResumableUploads(self.upload_context, expiry=self.upload_expiry)

    def base_url(self) -> str:
        """Where clients reach this service, without a slash at the end."""
        # Not request.root_url: it leaves out hosts that have an underscore.
        return self.public_url or application_uri(request.environ).rstrip("/")

    def sweep_when_due(self) -> None:
        """Remove what dead writers left, and uploads that have expired, while the request goes on.

        All of it once an hour, and uploads without a byte oftener; or both, if they expire sooner.
        """
        if time.monotonic() > self._next_sweep and not self._sweeping:
            self._sweeping = True
            self._next_sweep = time.monotonic() + min(_UNBEGUN_INTERVAL, self.upload_expiry)
            self.executor.submit(self._sweep)

    def _sweep(self) -> None:
        try:
            if time.monotonic() > self._next_full_sweep:
                self._next_full_sweep = time.monotonic() + min(_SWEEP_INTERVAL, self.upload_expiry)
                self.store.sweep()
                self.resumable_uploads.sweep()
            else:
                self.resumable_uploads.sweep_empty()
        except StorageError as error:
            _log.warning("the store could not be swept: %s", describe_error(error))
        except Exception:  # noqa: BLE001  # nobody asks for what came of it
            _log.exception("sweeping the store failed")
        finally:
            self._sweeping = False


def download_url(base: str, name: str) -> str:
    """The absolute URL of a stored file."""
    return f"{base}/download/{quote(name, safe='')}"
