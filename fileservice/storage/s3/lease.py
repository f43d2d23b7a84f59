"""Lease: the one writer of an upload, among all processes on all machines.

    .fileservice/leases/ID    who holds it, and how far it has come

Created by If-None-Match: *, renewed and taken over by If-Match, so whatever two do at once, one of
them learns that it lost. It counts while the store's own clock says that it was renewed lately. Who
stood still too long may lose it; what it then still writes does no harm, since pieces are created
by If-None-Match: *, too, and before it removes or publishes anything it makes sure of its lease.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from fileservice.storage.errors import Locked, StorageError
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.metadata import new_id

LEASES = ".fileservice/leases/"
_HOLDS_SECONDS = 8.0
_BEAT_SECONDS = 1.0
"""Who wants to take over looks for 1.5 s whether bytes still come in."""
_IDLE_RENEWAL_SECONDS = 3.0
_SURE_SECONDS = 5.0
"""For so long after a renewal began nobody else can have taken over, whatever clocks round."""
_log = logging.getLogger(__name__)


class Lease:
    """Held from `take` to `release`, unless it is `lost`."""

    def __init__(self, bucket: Bucket, upload: str) -> None:
        self._bucket = bucket
        self._key = LEASES + upload
        self._holder = new_id()
        self._etag = ""
        self._lock = threading.Lock()
        self.size = 0
        """Bytes that have come in; told to others with each renewal."""
        self._told = 0
        self._renewed = time.monotonic()
        self._sure = self._renewed
        """When the last renewal began that succeeded."""
        self.lost = False
        self.taken_over = False
        """Whether another had it, who may not know that it is lost."""

    def take(self) -> None:
        """Raises Locked."""
        try:
            self._etag = self._bucket.put(self._key, self._text(), only="*")
        except PreconditionFailed:
            self._take_over()

    def _take_over(self) -> None:
        try:
            head, text = self._bucket.load(self._key)
            ours = self._holder in text.decode(errors="replace")
            if head.age <= _HOLDS_SECONDS and not ours:  # ours: the answer was lost
                raise Locked
            self._etag = self._bucket.put(self._key, self._text(), only=head.etag)
        except (PreconditionFailed, ObjectMissing):
            if not self._is_ours():  # else the answer was lost
                raise Locked from None
        self.taken_over = not ours

    def renew(self) -> None:
        """Tell that the writer is alive. Never raises."""
        with self._lock:
            if self.lost or not self._etag:
                return
            idle = time.monotonic() - self._renewed
            if self.size == self._told and idle < _IDLE_RENEWAL_SECONDS:
                return
            try:
                self._renew()
            except StorageError as error:
                _log.warning("a lease could not be renewed: %s", error)

    def renew_now(self) -> None:
        """Renew it now, before something that only the one writer may do. Raises Locked."""
        with self._lock:
            self._assure()

    def ensure_held(self) -> None:
        """Make sure that it was held until now, by a request if need be. Raises Locked."""
        with self._lock:
            if self.lost or not self._etag or time.monotonic() - self._sure > _SURE_SECONDS:
                self._assure()

    def _assure(self) -> None:
        if self._etag and not self.lost:
            self._renew()
        if not self._etag or self.lost:
            raise Locked

    def _renew(self) -> None:
        self._told, self._renewed = self.size, time.monotonic()
        began = self._renewed
        try:
            self._etag = self._bucket.put(self._key, self._text(), only=self._etag)
        except (PreconditionFailed, ObjectMissing):
            self.lost = not self._is_ours()
        if not self.lost:
            self._sure = began

    def _is_ours(self) -> bool:
        with suppress(ObjectMissing, ValueError):
            head, text = self._bucket.load(self._key)
            if json.loads(text)["holder"] == self._holder:
                self._etag = head.etag
                return True
        return False

    def abandon(self) -> None:
        """Let it run out: who has it next must know that it was taken over."""
        with self._lock:
            self._etag = ""

    def release(self) -> None:
        """Let the next one have it at once."""
        with self._lock:
            etag, self._etag = self._etag, ""
            with suppress(StorageError, PreconditionFailed, ObjectMissing):
                if etag:
                    self._bucket.delete(self._key, etag)

    def _text(self) -> bytes:
        # `at`, so that no two renewals have one ETag: If-Match could not tell them apart.
        return json.dumps({"holder": self._holder, "size": self.size, "at": time.time()}).encode()


def reported_size(bucket: Bucket, upload: str) -> int:
    """How many bytes the writer of an upload has said came in; 0 where there is none."""
    try:
        return int(json.loads(bucket.read(LEASES + upload))["size"])
    except (ObjectMissing, ValueError, KeyError):
        return 0


class Heartbeat:
    """Beats every second for all writers of one process, while there are any."""

    def __init__(self) -> None:
        self._beats: set[Callable[[], None]] = set()
        self._begun = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, beat: Callable[[], None]) -> None:
        """Call `beat`, which never raises, with each beat."""
        self._beats.add(beat)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()
        self._begun.set()

    def remove(self, beat: Callable[[], None]) -> None:
        """Call it no more."""
        self._beats.discard(beat)

    def _run(self) -> None:
        # Each in a thread of its own, and none waited for: one that hangs costs no other its beat.
        beating: dict[Callable[[], None], threading.Thread] = {}
        while self._begun.wait():
            self._begun.clear()
            while self._beats:
                time.sleep(_BEAT_SECONDS)
                beating = {beat: thread for beat, thread in beating.items() if thread.is_alive()}
                for beat in tuple(self._beats):
                    if beat not in beating:
                        beating[beat] = threading.Thread(target=beat, name="beat", daemon=True)
                        beating[beat].start()
