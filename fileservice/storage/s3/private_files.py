"""Small objects of the service itself, which no client can fetch through it."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from fileservice.storage.errors import Locked
from fileservice.storage.s3.atomic_objects import AtomicObjects
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import PRIVATE
from fileservice.storage.s3.lease import Lease
from fileservice.storage.s3.listing import list_objects

_CONCURRENT_REQUESTS = 8


class S3PrivateFiles:
    """Objects below `.fileservice/` in the bucket of a store; see `interface.PrivateFiles`."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._objects = AtomicObjects(client)
        self._listings: dict[str, tuple[float, frozenset[str]]] = {}
        """Of each folder: when it was listed last, and the keys that were in it."""

    def read(self, key: str) -> bytes | None:
        try:
            return self._client.read_object(PRIVATE + key)[1]
        except ObjectMissing:
            return None

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        keys = list(keys)
        with ThreadPoolExecutor(_CONCURRENT_REQUESTS) as threads:
            for key, content in zip(keys, threads.map(self.read, keys), strict=True):
                if content is not None:
                    yield key, content

    def create(self, key: str, data: bytes) -> bytes:
        existing = self.read(key)
        if existing is not None:
            return existing
        # If it exists now, another process was faster, or the answer to this request was lost.
        with suppress(PreconditionFailed):
            self._client.put_object(PRIVATE + key, data, if_none_match="*")
        self._listings.pop(_folder(key), None)
        created = self.read(key)
        return data if created is None else created  # another process may have removed it

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        self._objects.update(PRIVATE + key, change)
        self._listings.pop(_folder(key), None)

    def add(self, key: str, data: bytes) -> None:
        self._client.put_object(PRIVATE + key, data)
        self._listings.pop(_folder(key), None)

    def rename(self, key: str, new_key: str, data: bytes | None = None) -> bool:
        if data is None:
            data = self.read(key)
            if data is None:
                return False
        self.add(new_key, data)
        self.remove(key)
        return True

    def try_lock(self, key: str) -> "S3PrivateLock | None":
        timing = self._client.timing
        lease = Lease(
            self._client,
            key.replace("/", "-"),
            replace(
                timing,
                lease=timing.private_lease,
                lease_renewal=timing.private_lease_renewal,
                # The rest is for the clock of the bucket, which has whole seconds, and for a call
                # that is under way when the lease is lost.
                lease_trusted=timing.private_lease / 2,
            ),
        )
        try:
            lease.acquire()
        except Locked:
            return None
        return S3PrivateLock(lease)

    def exists(self, key: str, *, max_age: float = 0.0) -> bool:
        folder, now = _folder(key), time.monotonic()
        listed_at, keys = self._listings.get(folder, (now - max_age, frozenset[str]()))
        if now - listed_at >= max_age:
            keys = frozenset(listed.key for listed in list_objects(self._client, PRIVATE + folder))
            self._listings[folder] = (now, keys)
        return PRIVATE + key in keys

    def list(self, folder: str) -> list[str]:
        listed = list_objects(self._client, f"{PRIVATE}{folder}/")
        return [entry.key.rpartition("/")[2] for entry in listed]

    def remove(self, key: str) -> None:
        with suppress(ObjectMissing):
            self._client.delete_object(PRIVATE + key)


class S3PrivateLock:
    """See `interface.PrivateLock`; it is a lease that is renewed whenever `keep` is called."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def keep(self) -> bool:
        self._lease.renew()
        try:
            self._lease.ensure_held()
        except Locked:
            return False
        return True

    def release(self) -> None:
        self._lease.release()


def _folder(key: str) -> str:
    """Return what precedes the last segment of a key, with the slash."""
    return key[: key.rindex("/") + 1] if "/" in key else ""
