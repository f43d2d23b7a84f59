"""Verify: whether a bucket honours the conditional requests that the store depends on.

Some stores with an S3 API accept If-Match and If-None-Match and ignore them. On those, two uploads
of one name could both seem to succeed, so the service does not start.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from fileservice.storage.errors import StorageError, StorageUnavailable
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import VERIFY, new_id

_OTHER_ETAG = '"0"'
_CREATE = "creating an object (PutObject, If-None-Match: *)"


def verify(client: S3Client) -> None:
    """Let two requests create one object, and send conditions that do not hold.

    Raises StorageUnavailable where both succeed, or a condition is ignored.
    """
    check_bucket(client, retry=True)
    key = VERIFY + new_id()
    try:
        etag = _verify_creation(client, key)
        _require_rejection(
            lambda: client.put_object(key, b"", if_match=_OTHER_ETAG),
            "replacing an object (PutObject, If-Match)",
        )
        _require_rejection(
            lambda: client.delete_object(key, _OTHER_ETAG),
            "removing an object (DeleteObject, If-Match)",
        )
        _verify_completion(client, key, etag)
    except (ObjectMissing, PreconditionFailed):
        raise StorageUnavailable("the storage does not find what was just written") from None
    finally:
        with suppress(StorageError, ObjectMissing, PreconditionFailed):
            client.delete_object(key)


def check_bucket(client: S3Client, *, retry: bool) -> None:
    """Raise StorageUnavailable if the bucket does not answer, or does not exist."""
    try:
        client.list_objects_v2("", {"max-keys": "1"}, retry=retry)
    except ObjectMissing:
        raise StorageUnavailable("there is no such bucket") from None


def clock_skew(client: S3Client) -> float:
    """Return by how many seconds, in whole ones, the clock of the bucket is ahead of ours."""
    _, date = client.list_objects_v2("", {"max-keys": "1"})
    skew = date.timestamp() - time.time()
    return skew if skew > 0 else min(0.0, skew + 1)  # its time is cut off to the second


def _verify_creation(client: S3Client, key: str) -> str:
    etags: list[str] = []
    start = threading.Barrier(2)

    def create(number: int) -> None:
        start.wait()
        with suppress(PreconditionFailed, StorageError):
            etags.append(client.put_object(key, b"%d" % number, if_none_match="*").etag)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(etags) > 1:
        raise _ignored(_CREATE)
    if not etags:
        raise StorageUnavailable("no object can be written to the storage")
    _require_rejection(lambda: client.put_object(key, b"", if_none_match="*"), _CREATE)
    return etags[0]


def _verify_completion(client: S3Client, key: str, etag: str) -> None:
    upload_id = client.create_multipart_upload(key, "application/octet-stream", {})
    try:
        part = client.upload_part(key, upload_id, 1, b"verify")
        _require_rejection(
            lambda: client.complete_multipart_upload(key, upload_id, [part], if_match=_OTHER_ETAG),
            "replacing an object by a multipart upload (CompleteMultipartUpload, If-Match)",
        )
        client.complete_multipart_upload(key, upload_id, [part], if_match=etag)
    finally:
        client.abort_multipart_upload(key, upload_id)


def _require_rejection(request: Callable[[], object], description: str) -> None:
    try:
        request()
    except (PreconditionFailed, ObjectMissing):
        return
    raise _ignored(description)


def _ignored(description: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"the store does not honour conditions on {description}; two uploads of one name could both"
        " seem to succeed, so the service does not run on it"
    )
