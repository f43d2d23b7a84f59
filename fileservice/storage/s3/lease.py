"""Lease: it makes one writer of an upload the only one, among all processes on all machines.

The lease is the object .fileservice/leases/ID, which says who holds it and how many bytes that
writer has received. It is created with If-None-Match: *, and renewed and taken over with If-Match
(PutObject), so if two writers do so at the same time, one of them learns that it lost. It is valid
while its age on the bucket's clock is below `Timing.lease`.

A process that was suspended for longer may lose its lease without knowing. What it writes then does
no harm: pieces are created with If-None-Match: *, too, and before it removes or publishes bytes it
renews its lease.
"""

import json
import logging
import threading
import time
from contextlib import suppress

from fileservice.storage.errors import Locked, StorageError
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import LEASES, new_id
from fileservice.storage.s3.timing import Timing

_log = logging.getLogger(__name__)


class Lease:
    """The lease of one writer, from `acquire` to `release`, unless it is lost."""

    def __init__(self, client: S3Client, upload: str, timing: Timing | None = None) -> None:
        self._client = client
        self._timing = timing or client.timing
        self._key = LEASES + upload
        self._holder = new_id()
        self._etag = ""
        """The ETag of the lease object while this writer holds the lease."""
        self._lock = threading.Lock()
        self._lost = False
        self.size = 0
        """Bytes that were received; other processes read it (`reported_size`)."""
        self._renewed_size = 0
        self._renewed = self._trusted = time.monotonic()
        """When the last renewal began, and when the last one that succeeded."""
        self.taken_over = False
        """Whether another writer held the lease before, and may not know that it has lost it."""

    def acquire(self) -> None:
        """Create the lease, or take it over if it is too old. Raises Locked."""
        try:
            self._etag = self._client.put_object(self._key, self._body(), if_none_match="*").etag
        except PreconditionFailed:
            self._take_over()

    def _take_over(self) -> None:
        ours = False
        try:
            head, body = self._client.read_object(self._key)
            ours = self._holder in body.decode(errors="replace")  # our answer was lost
            if head.age <= self._timing.lease and not ours:
                raise Locked
            self._etag = self._client.put_object(self._key, self._body(), if_match=head.etag).etag
        except (PreconditionFailed, ObjectMissing):
            if not self._is_ours():
                raise Locked from None
        self.taken_over = not ours

    def renew(self) -> None:
        """Renew the lease if bytes were received or some time has passed. Raises nothing."""
        with self._lock:
            if self._lost or not self._etag:
                return
            elapsed = time.monotonic() - self._renewed
            if self.size == self._renewed_size and elapsed < self._timing.lease_renewal:
                return
            try:
                self._renew()
            except StorageError as error:
                _log.warning("a lease could not be renewed: %s", error)

    def renew_now(self) -> None:
        """Renew the lease, before what only the one writer may do. Raises Locked."""
        with self._lock:
            self._renew_or_raise()

    def ensure_held(self) -> None:
        """Return if the lease was held until now; ask the bucket if necessary. Raises Locked."""
        with self._lock:
            elapsed = time.monotonic() - self._trusted
            if self._lost or not self._etag or elapsed > self._timing.lease_trusted:
                self._renew_or_raise()

    def _renew_or_raise(self) -> None:
        if self._etag and not self._lost:
            self._renew()
        if not self._etag or self._lost:
            raise Locked

    def _renew(self) -> None:
        self._renewed_size, self._renewed = self.size, time.monotonic()
        began = self._renewed
        try:
            self._etag = self._client.put_object(self._key, self._body(), if_match=self._etag).etag
        except (PreconditionFailed, ObjectMissing):
            self._lost = not self._is_ours()
        if not self._lost:
            self._trusted = began

    def _is_ours(self) -> bool:
        """Return whether the bucket has a lease of this writer, whose answer was lost."""
        with suppress(ObjectMissing, ValueError):
            head, body = self._client.read_object(self._key)
            if json.loads(body)["holder"] == self._holder:
                self._etag = head.etag
                return True
        return False

    def abandon(self) -> None:
        """Let the lease expire, so that the next writer takes it over and fences this one."""
        with self._lock:
            self._etag = ""

    def release(self) -> None:
        """Remove the lease, so that another writer can acquire it immediately. Raises nothing."""
        with self._lock:
            etag, self._etag = self._etag, ""
            with suppress(StorageError, PreconditionFailed, ObjectMissing):
                if etag:
                    self._client.delete_object(self._key, etag)

    def _body(self) -> bytes:
        # With the time, no two renewals have equal bytes, and so no two have one ETag.
        fields = {"holder": self._holder, "size": self.size, "time": time.time()}
        return json.dumps(fields).encode()


def reported_size(client: S3Client, upload: str) -> int:
    """Return how many bytes the writer of an upload has received; 0 if there is no writer."""
    try:
        return int(json.loads(client.read_object(LEASES + upload)[1])["size"])
    except (ObjectMissing, ValueError, KeyError):
        return 0
