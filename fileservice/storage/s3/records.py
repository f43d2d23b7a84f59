"""The record of an upload: an object that is replaced as a whole.

Its first line is different each time. An ETag may depend on nothing but the bytes (it is their MD5
for PutObject), and If-Match must distinguish a record from an earlier one with equal text.
"""

from collections.abc import Sequence
from contextlib import suppress

from fileservice.storage.errors import Locked
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import new_id, record_key
from fileservice.storage.s3.listing import ListedObject


def create(client: S3Client, upload: str, record: bytes) -> None:
    """Write the first record of an upload."""
    client.put_object(record_key(upload), _unique(record))


def read(client: S3Client, upload: str) -> tuple[bytes, str]:
    """Return the record and its ETag. Raises ObjectMissing."""
    head, data = client.read_object(record_key(upload))
    return data.partition(b"\n")[2], head.etag


def replace(client: S3Client, upload: str, record: bytes, etag: str) -> str:
    """Replace the record that has this ETag and return the new ETag (PutObject, If-Match).

    Raises Locked if another writer has replaced or removed it.
    """
    key, data = record_key(upload), _unique(record)
    try:
        return client.put_object(key, data, if_match=etag).etag
    except (PreconditionFailed, ObjectMissing):
        with suppress(ObjectMissing):
            head, stored = client.read_object(key)
            if stored == data:  # the request succeeded, but its answer was lost
                return head.etag
        raise Locked from None


def fence(client: S3Client, upload: str) -> None:
    """Give the record a new ETag, so that an earlier writer can no longer replace it.

    Raises ObjectMissing, and Locked if another writer replaces it at the same time.
    """
    record, etag = read(client, upload)
    replace(client, upload, record, etag)


def listed_etag(objects: Sequence[ListedObject], upload: str) -> str | None:
    """Return the ETag of the record of an upload out of a listing; None if it has no record."""
    key = record_key(upload)
    return next((listed.etag for listed in objects if listed.key == key), None)


def _unique(record: bytes) -> bytes:
    return new_id().encode() + b"\n" + record
