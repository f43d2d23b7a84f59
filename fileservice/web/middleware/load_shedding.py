"""Refuse early what would only wait: an answer now, and soon again, is better than one too late."""

import logging
import time
from collections.abc import Callable

from flask import Flask, request

from fileservice.web.errors import Overloaded
from fileservice.wsgi_extensions import overdue_seconds

_log = logging.getLogger(__name__)
_LONGEST_DELAY = 0.5
"""Seconds that work may have waited to be begun before new requests are refused."""
_LOG_INTERVAL = 10.0


def register(app: Flask, delay: Callable[[], float]) -> None:
    """Have `app` refuse requests, but no health checks, while `delay()` is too long.

    `delay` tells for how many seconds the work that waits longest has been waiting. What is being
    done, and if it takes hours, does not count, nor is it disturbed. Requests that themselves
    waited for too long are refused, too, if the server says so.
    """
    logged = -_LOG_INTERVAL

    @app.before_request
    def shed() -> None:
        nonlocal logged
        overdue = overdue_seconds(request.environ)
        seconds = delay() if overdue is None else overdue
        if (overdue is None and seconds <= _LONGEST_DELAY) or request.path == "/healthz":
            return
        now = time.monotonic()
        if now - logged >= _LOG_INTERVAL:
            logged = now
            _log.warning("requests are refused, since work has been waiting for %.2f s", seconds)
        raise Overloaded
