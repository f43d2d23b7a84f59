"""Records: what is kept beside the bytes of an upload, as an object that is always replaced whole.

Its first line is another each time: an ETag may be made of nothing but the bytes, and If-Match has
to tell a record from one that says the same again.
"""

from contextlib import suppress

from fileservice.storage.errors import Locked
from fileservice.storage.s3.bucket import Bucket, Head
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.metadata import new_id


def create(bucket: Bucket, key: str, record: bytes) -> None:
    """Write the first one."""
    bucket.put(key, _text(record))


def read(bucket: Bucket, key: str) -> tuple[Head, bytes]:
    """The record, and the object that it is in. Raises Missing."""
    head, text = bucket.load(key)
    return head, text.partition(b"\n")[2]


def replace(bucket: Bucket, key: str, record: bytes, etag: str) -> str:
    """Put it in the place of the one with this ETag; its own. Raises Locked if that is no more."""
    text = _text(record)
    try:
        return bucket.put(key, text, only=etag)
    except (PreconditionFailed, ObjectMissing):
        with suppress(ObjectMissing):
            head, found = bucket.load(key)
            if found == text:  # the answer to our own request was lost
                return head.etag
        raise Locked from None


def fence(bucket: Bucket, key: str) -> None:
    """Give it another ETag: who knows the old can replace it no more. Raises Missing, Locked."""
    head, record = read(bucket, key)
    replace(bucket, key, record, head.etag)


def _text(record: bytes) -> bytes:
    return new_id().encode() + b"\n" + record
