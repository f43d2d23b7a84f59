"""Probe: whether the store honours the conditions that one name, one winner rests on."""

import threading
from collections.abc import Callable
from contextlib import suppress

from fileservice.storage.errors import StorageError, StorageUnavailable
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.metadata import new_id

PROBES = ".fileservice/probe/"


def verify(bucket: Bucket) -> None:
    """Race two creations, and break the other conditions. Raises StorageUnavailable."""
    try:
        bucket.check()
    except ObjectMissing:
        raise StorageUnavailable("there is no such bucket") from None
    key = PROBES + new_id()
    try:
        etag = _race(bucket, key)
        _require(
            lambda: bucket.put(key, b"", only='"0"'), "replacing an object (PutObject, If-Match)"
        )
        _require(lambda: bucket.delete(key, '"0"'), "removing an object (DeleteObject, If-Match)")
        _complete(bucket, key, etag)
    except (ObjectMissing, PreconditionFailed):
        raise StorageUnavailable("the storage does not find what was just written") from None
    finally:
        with suppress(StorageError, ObjectMissing, PreconditionFailed):
            bucket.delete(key)


def _race(bucket: Bucket, key: str) -> str:
    won: list[str] = []
    start = threading.Barrier(2)

    def create(number: int) -> None:
        start.wait()
        with suppress(PreconditionFailed, StorageError):
            won.append(bucket.put(key, b"%d" % number, only="*"))

    rivals = [threading.Thread(target=create, args=(number,)) for number in range(2)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    if len(won) > 1:
        raise _refused("creating an object (PutObject, If-None-Match: *)")
    if not won:
        raise StorageUnavailable("the storage takes no objects")
    _require(
        lambda: bucket.put(key, b"", only="*"), "creating an object (PutObject, If-None-Match: *)"
    )
    return won[0]


def _complete(bucket: Bucket, key: str, there: str) -> None:
    upload = bucket.create_multipart_upload(key, "application/octet-stream", {})
    try:
        part = bucket.upload_part(key, upload, 1, b"probe")
        _require(
            lambda: bucket.complete_multipart_upload(key, upload, [part], instead_of='"0"'),
            "replacing an object by one in parts (CompleteMultipartUpload, If-Match)",
        )
        bucket.complete_multipart_upload(key, upload, [part], instead_of=there)
    finally:
        bucket.abort_multipart_upload(key, upload)


def _require(refused: Callable[[], object], what: str) -> None:
    try:
        refused()
    except (PreconditionFailed, ObjectMissing):
        return
    raise _refused(what)


def _refused(what: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"the store does not honour conditions on {what}; two uploads of one name could both seem"
        " to succeed, so the service does not run on it"
    )
