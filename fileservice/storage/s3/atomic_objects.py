"""AtomicObjects: small objects that many processes change at the same time, and no change is lost.

An object is created with If-None-Match: * and replaced with If-Match (PutObject), so that of two
processes that change it at the same time, one reads it again. The requests of one process do not
compete with each other: they take turns.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from fileservice.storage.errors import Busy
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import new_id

_COMPETITION_SECONDS = 20.0
_CHANGES = "fileservice-changes"
"""Key of the metadata that names the last changes of an object, the latest first."""
_KNOWN_CHANGES = 16


class AtomicObjects:
    """Changes objects in one step; threads may share it."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def read(self, key: str) -> bytes | None:
        """Return the content of an object; None if there is none."""
        return self._read(key).content

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace an object by what `change` makes of it; see `interface.PrivateFiles`."""
        deadline = time.monotonic() + _COMPETITION_SECONDS
        with self._turns[key]:
            while time.monotonic() < deadline:
                stored = self._read(key)
                content = change(stored.content)
                if content is None or self._replace(key, stored, content):
                    return
        raise Busy("too many requests change the same thing at the same time")

    def _read(self, key: str) -> "_Stored":
        try:
            head, content = self._client.read_object(key)
        except ObjectMissing:
            return _Stored(None, "", [])
        return _Stored(content, head.etag, head.metadata.get(_CHANGES, "").split())

    def _replace(self, key: str, stored: "_Stored", content: bytes) -> bool:
        """Replace what was read; return False if another process has replaced it before."""
        own = new_id()
        changes = [own, *stored.changes][:_KNOWN_CHANGES]
        try:
            self._client.put_object(
                key,
                content,
                metadata={_CHANGES: " ".join(changes)},
                if_match=stored.etag or None,
                if_none_match=None if stored.etag else "*",
            )
        except (PreconditionFailed, ObjectMissing) as error:
            # If an earlier answer was lost, the change may have been made, and others since.
            return error.repeated and own in self._read(key).changes
        return True


class _Stored(NamedTuple):
    """The content of an object, its ETag, which is empty if there is none, and its last changes."""

    content: bytes | None
    etag: str
    changes: list[str]
