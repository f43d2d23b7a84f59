"""Reservation: a name is taken by a small object in its place, and then given to a large file.

Creating an object by PutObject with If-None-Match: * has one winner wherever that condition is
honoured at all. Completing an upload in parts with it has not: SeaweedFS 4.48 looks, and then
writes, and of two at once both may win. So the winner is found by PutObject, and completing the
parts replaces what the winner wrote (If-Match).

A reservation is not a file: it is not listed, not found, not served. One whose process died is
removed by the next who wants the name.
"""

from contextlib import suppress
from datetime import UTC, datetime

from fileservice.names import FileName
from fileservice.storage.base import NameTaken, StorageUnavailable
from fileservice.storage.s3.bucket import Bucket, Entry, Head
from fileservice.storage.s3.description import ID, new_id
from fileservice.storage.s3.faults import Missing, Unmet

_RESERVATION = "fileservice-reservation"
_TEXT = b"fileservice keeps this name for the upload %s, in the attempt %s\n"
_SIZE = len(_TEXT % (b"0" * 32, b"0" * 32))
_LAPSES_SECONDS = 180.0
"""Longer than a process tries to complete an upload."""


def is_reservation(head: Head) -> bool:
    """Whether the object only holds the place of a file."""
    return _RESERVATION in head.metadata


def may_be_reservation(entry: Entry) -> bool:
    """Whether it has the size of one, so that one has to look."""
    return entry.size == _SIZE


def reserve(bucket: Bucket, name: FileName, identity: str) -> str:
    """Take the name for the upload with this id; the ETag to replace. Raises NameTaken.

    A reservation for the same upload is replaced: its process is dead, or has lost its lease, and
    must not release or complete what is this one's now.
    """
    attempt = new_id()
    metadata = {_RESERVATION: attempt, ID: identity}
    text = _TEXT % (identity.encode(), attempt.encode())
    return _take(bucket, name, text, "text/plain", metadata)


def create(
    bucket: Bucket,
    name: FileName,
    data: bytes | bytearray,
    media_type: str,
    metadata: dict[str, str],
) -> Head:
    """Publish a file that fits into one request. Raises NameTaken."""
    etag = _take(bucket, name, data, media_type, metadata)
    head = _head(bucket, name)
    if head and head.metadata.get(ID) == metadata[ID]:
        return head
    # Removed meanwhile, and perhaps taken by another: it was stored all the same.
    return Head(len(data), etag, datetime.now(UTC), media_type, metadata, 0.0)


def _take(
    bucket: Bucket,
    name: FileName,
    data: bytes | bytearray,
    media_type: str,
    metadata: dict[str, str],
) -> str:
    """Write the object where there is none; its ETag. Raises NameTaken."""
    instead_of = "*"
    for _ in range(4):
        with suppress(Unmet, Missing):
            return bucket.put(name, data, media_type=media_type, metadata=metadata, only=instead_of)
        head, instead_of = _head(bucket, name), "*"
        if not head:
            continue
        ours = head.metadata.get(ID) == metadata[ID]
        if ours and head.metadata.get(_RESERVATION) == metadata.get(_RESERVATION):
            return head.etag  # the answer to our own request was lost
        if ours and is_reservation(head):
            instead_of = head.etag
        elif lapsed(head):
            release(bucket, name, head.etag)
        else:
            raise NameTaken(name)
    raise NameTaken(name)


def complete(
    bucket: Bucket, name: FileName, upload: str, etags: list[str], reserved: str, identity: str
) -> Head:
    """Give the reserved name to the file made of these parts. Raises NameTaken."""
    try:
        bucket.complete_multipart_upload(name, upload, etags, instead_of=reserved)
    except (Unmet, Missing):
        head = _head(bucket, name)
        if not head or is_reservation(head) or head.metadata.get(ID) != identity:
            raise NameTaken(name) from None  # the reservation had lapsed
        return head
    if head := _head(bucket, name):
        return head
    raise StorageUnavailable("the file was removed as soon as it was stored")


def release(bucket: Bucket, name: FileName, reserved: str) -> None:
    """Give a reserved name back, unless somebody has it by now."""
    with suppress(Unmet, Missing):
        bucket.delete(name, reserved)


def lapsed(head: Head) -> bool:
    """Whether it is the reservation of a process that must be dead."""
    return is_reservation(head) and head.age > _LAPSES_SECONDS


def identity_at(bucket: Bucket, name: FileName) -> str | None:
    """The id of the upload that made the file of this name."""
    head = _head(bucket, name)
    return None if not head or is_reservation(head) else head.metadata.get(ID)


def _head(bucket: Bucket, name: FileName) -> Head | None:
    try:
        return bucket.head(name)
    except Missing:
        return None
