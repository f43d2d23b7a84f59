"""Refuse early what would only wait: an answer now, and soon again, is better than one too late."""

import logging
import time
from collections.abc import Callable

from flask import Flask, request

from fileservice.web.errors import Overloaded

_log = logging.getLogger(__name__)
_LONGEST_DELAY = 0.5
"""Seconds that work may have waited to be begun before new requests are refused."""
_LOG_INTERVAL = 10.0


def register(app: Flask, delay: Callable[[], float]) -> None:
    """Have `app` refuse requests, but no health checks, while `delay()` is too long.

    `delay` tells for how many seconds the work that waits longest has been waiting. What is being
    done, and if it takes hours, does not count, nor is it disturbed. Requests that themselves
    waited for too long are refused, too, which our own server tells of.
    """
    logged = -_LOG_INTERVAL

    @app.before_request
    def shed() -> None:
        nonlocal logged
        queued: float | None = request.environ.get("transfer.queued")
        seconds = delay() if queued is None else queued
        if (queued is None and seconds <= _LONGEST_DELAY) or request.path == "/healthz":
            return
        now = time.monotonic()
        if now - logged >= _LOG_INTERVAL:
            logged = now
            _log.warning("requests are refused, since work has been waiting for %.2f s", seconds)
        raise Overloaded
