"""Reservation: a small object takes a name, and a multipart upload then replaces it.

PutObject with If-None-Match: * has one winner wherever the condition is honoured at all.
CompleteMultipartUpload with it does not have one: SeaweedFS 4.48 checks the condition and then
writes, and of two requests at the same time both may succeed. So PutObject decides who wins, and
completing the upload replaces what the winner wrote (If-Match).

A reservation is not a file: it is not listed, found or served. It lasts only while the upload is
completed. If its process dies meanwhile, another upload may replace it after `Timing.reservation`.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fileservice.storage.errors import NameReserved, NameTaken, StorageError, StorageUnavailable
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, OutcomeUnknown, PreconditionFailed
from fileservice.storage.s3.layout import new_id
from fileservice.storage.s3.listing import ListedObject
from fileservice.storage.s3.metadata import ID
from fileservice.storage.s3.objects import ObjectHead, Written
from fileservice.storage.s3.retries import attempts

_RESERVATION = "fileservice-reservation"
"""Key of the user-defined metadata of a reservation: which attempt made it."""
_BODY = b"fileservice keeps this name for the upload %s, in the attempt %s\n"
_SIZE = len(_BODY % (b"0" * 32, b"0" * 32))


@dataclass(frozen=True, slots=True)
class Target:
    """The object that an upload is to become: its name, or key, and its header fields."""

    name: str
    content_type: str
    metadata: dict[str, str]
    """The user-defined metadata, with the id of the upload."""


def is_reservation(head: ObjectHead) -> bool:
    """Return whether the object is a reservation and not a file."""
    return _RESERVATION in head.metadata


def may_be_reservation(listed: ListedObject) -> bool:
    """Return whether the object has the size of a reservation, so that its head must be read."""
    return listed.size == _SIZE


def is_taken(client: S3Client, name: str) -> bool:
    """Return whether a file has the name. Raises NameReserved while another upload reserves it."""
    head = _find(client, name)
    if head and is_reservation(head) and not _expired(client, head):
        raise NameReserved(name)
    return head is not None and not is_reservation(head)


def find_file(client: S3Client, name: str) -> ObjectHead | None:
    """Return the head of the file that has the name, if there is one."""
    head = _find(client, name)
    return None if not head or is_reservation(head) else head


def create(client: S3Client, target: Target, data: bytes | bytearray) -> ObjectHead:
    """Publish a file with one PutObject. Raises NameTaken, NameReserved."""
    written = _put_new(client, target, data)
    return head_of_published(client, target, len(data), written)


def complete(
    client: S3Client, target: Target, upload_id: str, etags: list[str], size: int
) -> ObjectHead:
    """Publish the file of `size` bytes that the parts make. Raises NameTaken, NameReserved."""
    name = target.name
    reserved = reserve(client, name, target.metadata[ID])
    try:
        etag = client.complete_multipart_upload(name, upload_id, etags, if_match=reserved)
    except OutcomeUnknown:
        # The bucket may still complete the upload, so nobody else may get the name before the
        # reservation has expired.
        raise
    except (StorageError, PreconditionFailed, ObjectMissing) as error:
        with suppress(StorageError):  # otherwise it expires
            release(client, name, reserved)
        if isinstance(error, StorageError):
            raise
        head = find_file(client, name)
        if head and head.metadata.get(ID) == target.metadata[ID]:
            return head  # the request succeeded, but its answer was lost
        if head:
            raise NameTaken(name) from None  # the reservation had expired
        raise NameReserved(name) from None
    return head_of_published(client, target, size, Written(etag, modified=None))


def reserve(
    client: S3Client,
    name: str,
    upload: str,
    *,
    while_waiting: Callable[[], object] = lambda: None,
) -> str:
    """Reserve a name for the upload with this id and return the ETag of the reservation.

    Another reservation for the same upload is replaced: its process is dead, or has lost the lease
    of the upload, and must neither release nor complete this one. `while_waiting` is called from
    time to time while another upload has the name, and may raise. Raises NameTaken, NameReserved.
    """
    attempt = new_id()
    target = Target(name, "text/plain", {_RESERVATION: attempt, ID: upload})
    body = _BODY % (upload.encode(), attempt.encode())
    return _put_new(client, target, body, while_waiting=while_waiting).etag


def release(client: S3Client, name: str, etag: str) -> None:
    """Remove the reservation with this ETag, unless it was replaced or removed before."""
    with suppress(PreconditionFailed, ObjectMissing):
        client.delete_object(name, etag)


def _put_new(
    client: S3Client,
    target: Target,
    data: bytes | bytearray,
    *,
    while_waiting: Callable[[], object] = lambda: None,
) -> Written:
    """Write an object where there is none (PutObject, If-None-Match: *).

    If the name is reserved for another upload, wait until that has ended.
    """
    replaced: str | None = None
    for _ in attempts(client.timing.retry):
        with suppress(PreconditionFailed, ObjectMissing):
            return client.put_object(
                target.name,
                data,
                content_type=target.content_type,
                metadata=target.metadata,
                if_match=replaced,
                if_none_match=None if replaced else "*",
                retry_seconds=client.timing.retry_with_body,
            )
        head, replaced = _find(client, target.name), None
        if not head:
            continue
        same_upload = head.metadata.get(ID) == target.metadata[ID]
        if same_upload and head.metadata.get(_RESERVATION) == target.metadata.get(_RESERVATION):
            return Written(head.etag, head.modified)  # the answer was lost
        if not is_reservation(head):
            raise NameTaken(target.name)
        if same_upload or _expired(client, head):
            replaced = head.etag
        else:
            while_waiting()
    raise NameReserved(target.name)


def _expired(client: S3Client, reservation: ObjectHead) -> bool:
    """Return whether the process that made the reservation must be dead."""
    return reservation.age > client.timing.reservation


def head_of_published(client: S3Client, target: Target, size: int, written: Written) -> ObjectHead:
    """Return the head of a file that was just published, with the time that the bucket gave it.

    If the bucket does not answer, return what this process knows: the file is stored in any case.
    """
    if written.modified is None:
        with suppress(StorageUnavailable):
            head = _find(client, target.name)
            if head and head.metadata.get(ID) == target.metadata[ID]:
                return head
    return ObjectHead(
        size=size,
        etag=written.etag,
        modified=written.modified or datetime.now(UTC),
        content_type=target.content_type,
        metadata=target.metadata,
        age=0.0,
    )


def _find(client: S3Client, name: str) -> ObjectHead | None:
    try:
        return client.head_object(name)
    except ObjectMissing:
        return None
