"""RedisCounters: counters that the workers of several services share.

If Redis does not answer, each service counts alone, so that neither an outage of Redis stops the
service, nor the limits are gone.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from limits.storage import RedisStorage, Storage

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_TIMEOUT = 0.25
"""Seconds to wait for a connection to Redis, and for each answer."""
_RETRY_SECONDS = 5.0
"""After Redis has not answered, it is not asked again for this time, except by one request."""
_MAX_CONNECTIONS = 50
"""Of one worker."""


class RedisCounters(Storage):
    """A storage of the `limits` package: Redis, or `fallback` while Redis does not answer."""

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, url: str, fallback: Storage) -> None:
        """Connect when the first counter is used.

        To be called in each worker: the client must not be imported before gevent has replaced the
        sockets. `url` may have a password, so it is not logged.
        """
        import redis

        super().__init__()
        self._fallback = fallback
        self.server = _without_password(url)
        """Its URL without the password."""
        self._next_try = 0.0
        self._has_failed = False
        # With a time limit, the pool lets requests wait for a connection rather than open more.
        self._pool = redis.BlockingConnectionPool.from_url(
            url.replace("redis+unix:", "unix:"),
            max_connections=_MAX_CONNECTIONS,
            timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            socket_timeout=_TIMEOUT,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        )
        self._redis = RedisStorage(url, connection_pool=self._pool, key_prefix="fileservice")
        self._errors = (redis.RedisError, OSError)

    def close(self) -> None:
        """Close all connections; a further use opens others."""
        self._pool.disconnect()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        return self._ask(lambda storage: storage.incr(key, int(expiry), amount))

    def get(self, key: str) -> int:
        return self._ask(lambda storage: storage.get(key))

    def get_expiry(self, key: str) -> float:
        return self._ask(lambda storage: storage.get_expiry(key))

    def clear(self, key: str) -> None:
        self._ask(lambda storage: storage.clear(key))

    def check(self) -> bool:
        return self._redis.check()

    def verify(self) -> str | None:
        """Count once in Redis, and nowhere else; return why that fails, None if it does not.

        The reason has no password.
        """
        try:
            self._redis.incr("verification", 1)
        except self._errors as error:
            return f"{self.server}: {str(error) or type(error).__name__}"
        return None

    def reset(self) -> int | None:
        """Delete nothing: other services use the counters, too."""
        return None

    def _ask(self, question: Callable[[Storage], _T]) -> _T:
        now = time.monotonic()
        if now < self._next_try:
            return question(self._fallback)
        if self._has_failed:
            self._next_try = now + _RETRY_SECONDS  # other requests do not wait for this one
        try:
            answer = question(self._redis)
        except self._errors as error:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            if not self._has_failed:
                self._has_failed = True
                _log.error(
                    "%s does not answer (%s): until it does, limits are counted by this service"
                    " alone",
                    self.server,
                    type(error).__name__,
                )
            return question(self._fallback)
        if self._has_failed:
            self._has_failed, self._next_try = False, 0.0
            _log.warning("%s answers again: limits are counted there", self.server)
        return answer


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
