"""Refuse requests at once when they would wait for long: the client can try again soon."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fileservice.web.errors import Overloaded
from fileservice.web.hooks import Hooks
from fileservice.web.requests import path_of
from fileservice.wsgi_extensions import overdue_seconds

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(__name__)
_MAX_DELAY = 0.5
"""Seconds that a blocking call may wait for a thread before new requests are refused."""
_LOG_INTERVAL = 10.0
_CHECKS = ("/healthz", "/livez", "/readyz", "/metrics")


def register(hooks: Hooks, delay: Callable[[], float]) -> None:
    """Raise Overloaded while `delay()` is too long, except for health checks.

    `delay` returns for how many seconds the oldest call that has not begun has been waiting. Calls
    that run do not count, even if they take hours. Requests that waited for too long before they
    reached the application are refused as well; our own server marks them.
    """
    last_logged = -_LOG_INTERVAL

    @hooks.before
    def refuse(environ: "WSGIEnvironment") -> None:
        nonlocal last_logged
        overdue = overdue_seconds(environ)
        seconds = delay() if overdue is None else overdue
        if (overdue is None and seconds <= _MAX_DELAY) or path_of(environ) in _CHECKS:
            return
        now = time.monotonic()
        if now - last_logged >= _LOG_INTERVAL:
            last_logged = now
            _log.warning("requests are refused, since work has been waiting for %.2f s", seconds)
        raise Overloaded
