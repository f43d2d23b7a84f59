"""Reservation: a name is taken by a small object in its place, and then given to a large file.

Creating an object by PutObject with If-None-Match: * has one winner wherever that condition is
honoured at all. Completing an upload in parts with it has not: SeaweedFS 4.48 looks, and then
writes, and of two at once both may win. So the winner is found by PutObject, and completing the
parts replaces what the winner wrote (If-Match).

A reservation is not a file: it is not listed, not found, not served. It is held only while the
parts are completed; one whose process died meanwhile is replaced by the next who wants the name,
after some minutes.
"""

from contextlib import suppress
from datetime import UTC, datetime

from fileservice.names import FileName
from fileservice.storage.errors import NameReserved, NameTaken, StorageError, StorageUnavailable
from fileservice.storage.s3.bucket import Bucket, Entry, Head
from fileservice.storage.s3.calls import RETRY_SECONDS, RETRY_SECONDS_WITH_BODY, attempts
from fileservice.storage.s3.errors import ObjectMissing, OutcomeUnknown, PreconditionFailed
from fileservice.storage.s3.metadata import ID, new_id

_RESERVATION = "fileservice-reservation"
_TEXT = b"fileservice keeps this name for the upload %s, in the attempt %s\n"
_SIZE = len(_TEXT % (b"0" * 32, b"0" * 32))
_LAPSES_SECONDS = 180.0
"""Much longer than a process tries to complete an upload: it must not do so afterwards."""


def is_reservation(head: Head) -> bool:
    """Whether the object only holds the place of a file."""
    return _RESERVATION in head.metadata


def may_be_reservation(entry: Entry) -> bool:
    """Whether it has the size of one, so that one has to look."""
    return entry.size == _SIZE


def is_taken(bucket: Bucket, name: FileName) -> bool:
    """Whether a file has the name. Raises NameReserved while that is being decided."""
    head = _head(bucket, name)
    if head and is_reservation(head) and not _lapsed(head):
        raise NameReserved(name)
    return head is not None and not is_reservation(head)


def file_at(bucket: Bucket, name: FileName) -> Head | None:
    """The file that has the name already, whatever is being decided."""
    head = _head(bucket, name)
    return None if not head or is_reservation(head) else head


def create(
    bucket: Bucket,
    name: FileName,
    data: bytes | bytearray,
    media_type: str,
    metadata: dict[str, str],
) -> Head:
    """Publish a file that fits into one request. Raises NameTaken, NameReserved."""
    etag = _take(bucket, name, data, media_type, metadata)
    return _seen(bucket, name, _made(len(data), etag, media_type, metadata))


def complete(
    bucket: Bucket,
    name: FileName,
    upload: str,
    etags: list[str],
    size: int,
    media_type: str,
    metadata: dict[str, str],
) -> Head:
    """Publish the file of `size` bytes that these parts make. Raises NameTaken, NameReserved."""
    identity = metadata[ID]
    reserved = _reserve(bucket, name, identity)
    try:
        etag = bucket.complete_multipart_upload(name, upload, etags, instead_of=reserved)
    except OutcomeUnknown:
        raise  # the store may still be at it: the name must not be another's, so it lapses
    except (StorageError, PreconditionFailed, ObjectMissing) as error:
        with suppress(StorageError):  # else it lapses
            _release(bucket, name, reserved)
        if isinstance(error, StorageError):
            raise
        head = file_at(bucket, name)
        if head and head.metadata.get(ID) == identity:
            return head  # the answer to our own request was lost
        if head:
            raise NameTaken(name) from None  # the reservation had lapsed
        raise NameReserved(name) from None
    return _seen(bucket, name, _made(size, etag, media_type, metadata))


def _reserve(bucket: Bucket, name: FileName, identity: str) -> str:
    """Take the name for the upload with this id; the ETag to replace.

    A reservation for the same upload is replaced: its process is dead, or has lost its lease, and
    must not release or complete what is this one's now.
    """
    attempt = new_id()
    metadata = {_RESERVATION: attempt, ID: identity}
    text = _TEXT % (identity.encode(), attempt.encode())
    return _take(bucket, name, text, "text/plain", metadata)


def _take(
    bucket: Bucket,
    name: FileName,
    data: bytes | bytearray,
    media_type: str,
    metadata: dict[str, str],
) -> str:
    """Write the object where there is none; its ETag. Waits for what others have just reserved."""
    instead_of = "*"
    for _ in attempts(RETRY_SECONDS):
        with suppress(PreconditionFailed, ObjectMissing):
            return bucket.put(
                name,
                data,
                media_type=media_type,
                metadata=metadata,
                only=instead_of,
                patience=RETRY_SECONDS_WITH_BODY,
            )
        head, instead_of = _head(bucket, name), "*"
        if not head:
            continue
        ours = head.metadata.get(ID) == metadata[ID]
        if ours and head.metadata.get(_RESERVATION) == metadata.get(_RESERVATION):
            return head.etag  # the answer to our own request was lost
        if not is_reservation(head):
            raise NameTaken(name)
        if ours or _lapsed(head):
            instead_of = head.etag
    raise NameReserved(name)


def _release(bucket: Bucket, name: FileName, reserved: str) -> None:
    """Give a reserved name back, unless somebody has it by now."""
    with suppress(PreconditionFailed, ObjectMissing):
        bucket.delete(name, reserved)


def _lapsed(head: Head) -> bool:
    """Whether the process of a reservation must be dead."""
    return head.age > _LAPSES_SECONDS


def _made(size: int, etag: str, media_type: str, metadata: dict[str, str]) -> Head:
    return Head(size, etag, datetime.now(UTC), media_type, metadata, 0.0)


def _seen(bucket: Bucket, name: FileName, made: Head) -> Head:
    """What the store says of a file just made, above all the time; else what is known of it."""
    with suppress(StorageUnavailable):
        head = _head(bucket, name)
        if head and head.metadata.get(ID) == made.metadata[ID]:
            return head
    return made  # it is stored, whatever became of it since


def _head(bucket: Bucket, name: FileName) -> Head | None:
    try:
        return bucket.head(name)
    except ObjectMissing:
        return None
