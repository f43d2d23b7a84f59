"""Refuse requests at once when they would wait for long: the client can try again soon."""

import logging
import time
from collections.abc import Callable

from flask import Flask, request

from fileservice.web.errors import Overloaded
from fileservice.wsgi_extensions import overdue_seconds

_log = logging.getLogger(__name__)
_MAX_DELAY = 0.5
"""Seconds that a blocking call may wait for a thread before new requests are refused."""
_LOG_INTERVAL = 10.0
_CHECKS = ("/healthz", "/readyz")


def register(app: Flask, delay: Callable[[], float]) -> None:
    """Make `app` raise Overloaded while `delay()` is too long, except for health checks.

    `delay` returns for how many seconds the oldest call that has not begun has been waiting. Calls
    that run do not count, even if they take hours. Requests that waited for too long before they
    reached the application are refused as well; our own server marks them.
    """
    last_logged = -_LOG_INTERVAL

    @app.before_request
    def refuse() -> None:
        nonlocal last_logged
        overdue = overdue_seconds(request.environ)
        seconds = delay() if overdue is None else overdue
        if (overdue is None and seconds <= _MAX_DELAY) or request.path in _CHECKS:
            return
        now = time.monotonic()
        if now - last_logged >= _LOG_INTERVAL:
            last_logged = now
            _log.warning("requests are refused, since work has been waiting for %.2f s", seconds)
        raise Overloaded
