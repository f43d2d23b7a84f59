"""SessionStore: sessions begin here, are found again, and end for good.

A browser keeps the session itself. The store has a record of each session that was ended before its
time, until that time, so that a copy of it is worthless. So a session costs nothing to begin, and
the records are few.
"""

import time

from fileservice.access.secret_key import SecretKey
from fileservice.access.sessions import Session, seal, unseal
from fileservice.storage import PrivateFiles

_FOLDER = "ended-sessions"
_MAX_LENGTH = 4096
"""Characters of a text that may be a session; browsers keep no more in a cookie (RFC 6265bis)."""
_MAX_AGE = 2.0
"""Seconds for which a session that was ended at another machine may still be valid here."""
_CLOCK_DIFFERENCE = 3600
"""Seconds by which the clocks of machines may differ."""
_CLEANUP_SECONDS = 600.0
"""The records are not looked through again for so long: somebody could end sessions without end,
and each would take longer than the one before."""


class SessionStore:
    """The sessions of all people, over all processes that share a store. Threads may share it."""

    def __init__(self, secret_key: SecretKey, files: PrivateFiles) -> None:
        self._secret_key = secret_key
        self._files = files
        self._next_cleanup = 0.0

    def begin(self, session: Session) -> str:
        """Return the text for the browser. Raises StorageError. Blocks."""
        return seal(session, self._secret_key.make())

    def find(self, text: str) -> Session | None:
        """Return the session that is valid now; None if there is none. Raises StorageError.

        In a directory this costs one stat of a name that is usually missing, so it may be called on
        the event loop.
        """
        secret_key = self._secret_key.find() if len(text) <= _MAX_LENGTH else None
        session = unseal(text, secret_key, time.time()) if secret_key else None
        if session and self._files.exists(_record(session), max_age=_MAX_AGE):
            return None
        return session

    def end(self, session: Session) -> None:
        """End a session, so that no copy of it is valid any more. Raises StorageError. Blocks."""
        self._files.create(_record(session), b"")
        now = time.time()
        if now >= self._next_cleanup:
            self._next_cleanup = now + _CLEANUP_SECONDS
            self._remove_old_records(now)

    def _remove_old_records(self, now: float) -> None:
        for name in self._files.list(_FOLDER):
            expires = name.partition("-")[0]
            if expires.isdigit() and int(expires) + _CLOCK_DIFFERENCE < now:
                self._files.remove(f"{_FOLDER}/{name}")


def _record(session: Session) -> str:
    """Return the key of the record of a session that was ended."""
    return f"{_FOLDER}/{session.expires}-{session.id}"
