"""NameLock: one process at a time replaces or deletes the file with a name.

A lock is a reservation (see reservation) of the key .fileservice/name-locks/HASH, the hash being
that of the name, so the file stays visible meanwhile. It is needed because a bucket may let both
CompleteMultipartUpload and another request with the same If-Match succeed (decision 9). If its
process dies, another may take it after `Timing.reservation`.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from fileservice.names import FileName
from fileservice.storage.errors import NameReserved, StorageError, StorageFull
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import OutcomeUnknown
from fileservice.storage.s3.layout import NAME_LOCKS, new_id

_Result = TypeVar("_Result")


@contextmanager
def locked_name(
    client: S3Client, name: FileName, while_waiting: Callable[[], object]
) -> Iterator[None]:
    """Hold the lock of a name for the context. Raises NameReserved if others hold it for long.

    `while_waiting` is called while others hold it, and may raise: what they do may decide already.
    After OutcomeUnknown the lock is not released but expires, since the bucket may still carry out
    the request, and then nobody else may be changing the name.
    """
    key = _key(name)
    try:
        etag = reservation.reserve(client, key, new_id(), while_waiting=while_waiting)
    except NameReserved:
        raise NameReserved(name) from None
    try:
        yield
    except OutcomeUnknown:
        raise
    except BaseException:
        _release(client, key, etag)
        raise
    _release(client, key, etag)


def remove_locked(
    client: S3Client,
    name: FileName,
    while_waiting: Callable[[], object],
    remove: Callable[[], _Result],
) -> _Result:
    """Return what `remove` returns, which removes the file with a name, as `locked_name` says.

    Without room for a lock there is none for a new file either. So in a full bucket, in which there
    would never be room again if no file could be removed, it is enough that nobody has the lock.
    """
    try:
        with locked_name(client, name, while_waiting):
            return remove()
    except StorageFull:
        _require_unlocked(client, name)
        return remove()


def _require_unlocked(client: S3Client, name: FileName) -> None:
    """Return if nobody holds the lock of a name now. Raises NameReserved."""
    try:
        reservation.is_taken(client, _key(name))
    except NameReserved:
        raise NameReserved(name) from None


def _key(name: FileName) -> str:
    return NAME_LOCKS + hashlib.sha256(name.encode()).hexdigest()


def _release(client: S3Client, key: str, etag: str) -> None:
    with suppress(StorageError):  # otherwise it expires
        reservation.release(client, key, etag)
