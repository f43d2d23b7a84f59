"""Service: what the routes are given to work with."""

import logging
import time
from dataclasses import dataclass, field
from urllib.parse import quote

from flask import request

from fileservice.storage import StorageError, Store, in_full
from fileservice.upload import Offload, Rules
from fileservice.upload.resume import Resumption

_log = logging.getLogger(__name__)
_SWEEP_INTERVAL = 3600.0


@dataclass(slots=True)
class Service:
    """The parts that `app` put together; durations in seconds."""

    store: Store
    rules: Rules
    offload: Offload
    idle_timeout: float
    public_url: str | None
    upload_expiry: float
    download_redirect: bool = False
    """Send those who want a file to where the store has it."""
    resumption: Resumption = field(init=False)
    _next_sweep: float = 0.0

    def __post_init__(self) -> None:
        self.resumption = Resumption(self.store, self.rules, self.offload, self.upload_expiry)

    def base_url(self) -> str:
        """Where clients reach this service, without a slash at the end."""
        return self.public_url or request.root_url.rstrip("/")

    def sweep_when_due(self) -> None:
        """Remove what dead writers left, and uploads that have expired, once an hour or oftener."""
        if time.monotonic() > self._next_sweep:
            self._next_sweep = time.monotonic() + min(_SWEEP_INTERVAL, self.upload_expiry)
            try:
                self.offload(self.store.sweep)
                self.offload(self.resumption.sweep)
            except StorageError as error:
                _log.warning("the store could not be swept: %s", in_full(error))


def download_url(base: str, name: str) -> str:
    """The absolute URL of a stored file."""
    return f"{base}/download/{quote(name, safe='')}"
