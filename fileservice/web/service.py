"""Service: what the routes are given to work with."""

import time
from dataclasses import dataclass, field
from urllib.parse import quote

from flask import request

from fileservice.storage import Store
from fileservice.upload import Offload, Rules

_SWEEP_INTERVAL = 3600.0


@dataclass(slots=True)
class Service:
    """The parts that `app` put together; `idle_timeout` in seconds."""

    store: Store
    rules: Rules
    offload: Offload
    idle_timeout: float
    public_url: str | None
    _next_sweep: float = field(default_factory=lambda: time.monotonic() + _SWEEP_INTERVAL)

    def base_url(self) -> str:
        """Where clients reach this service, without a slash at the end."""
        return self.public_url or request.root_url.rstrip("/")

    def sweep_when_due(self) -> None:
        """Remove what dead writers left, once an hour; a fresh process does it at its start."""
        if time.monotonic() > self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_INTERVAL
            self.offload(self.store.sweep)


def download_url(base: str, name: str) -> str:
    """The absolute URL of a stored file."""
    return f"{base}/download/{quote(name, safe='')}"
