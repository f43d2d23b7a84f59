"""Claim: a name is taken first, by a small object in its place, and given to a large file then.

Creating an object by PutObject with If-None-Match: * has one winner wherever that condition is
honoured at all. Completing an upload in parts with it has not: SeaweedFS 4.48 looks, and then
writes, and of two at once both may win. So the winner is found by PutObject, and completing the
parts replaces what the winner wrote (If-Match).

A claim is not a file: it is not listed, not found, not served. One whose process died is removed by
the next who wants the name.
"""

from contextlib import suppress

from fileservice.names import FileName
from fileservice.storage.base import NameTaken
from fileservice.storage.s3.bucket import Bucket, Entry, Head
from fileservice.storage.s3.description import ID
from fileservice.storage.s3.faults import Missing, Unmet

_CLAIM = "fileservice-claim"
_TEXT = b"fileservice gives this name to the upload %s within a minute\n"
_SIZE = len(_TEXT % (b"0" * 32))
_LAPSES_SECONDS = 180.0
"""Longer than a process tries to complete an upload."""


def is_claim(head: Head) -> bool:
    """Whether the object only holds the place of a file."""
    return _CLAIM in head.metadata


def may_be_claim(entry: Entry) -> bool:
    """Whether it has the size of one, so that one has to look."""
    return entry.size == _SIZE


def claim(bucket: Bucket, name: FileName, identity: str) -> str:
    """Take the name for the upload with this id; the ETag to replace. Raises NameTaken."""
    text = _TEXT % identity.encode()
    metadata = {_CLAIM: "1", ID: identity}
    for _ in range(3):
        try:
            return bucket.put(name, text, media_type="text/plain", metadata=metadata, only="*")
        except Unmet:
            head = _head(bucket, name)
            if head and is_claim(head) and head.metadata.get(ID) == identity:
                return head.etag  # the answer to our own request was lost
            if head and not lapsed(head):
                raise NameTaken(name) from None
            if head:
                release(bucket, name, head.etag)
    raise NameTaken(name)


def create(
    bucket: Bucket,
    name: FileName,
    data: bytes | bytearray,
    media_type: str,
    metadata: dict[str, str],
) -> Head:
    """Publish a file that fits into one request. Raises NameTaken."""
    for _ in range(3):
        try:
            bucket.put(name, data, media_type=media_type, metadata=metadata, only="*")
        except Unmet:
            head = _head(bucket, name)
            if head and not is_claim(head) and head.metadata.get(ID) == metadata[ID]:
                return head  # the answer to our own request was lost
            if head and not lapsed(head):
                raise NameTaken(name) from None
            if head:
                release(bucket, name, head.etag)
        else:
            return bucket.head(name)
    raise NameTaken(name)


def complete(
    bucket: Bucket, name: FileName, upload: str, etags: list[str], claimed: str, identity: str
) -> Head:
    """Give the claimed name to the file made of these parts. Raises NameTaken."""
    try:
        bucket.end_parts(name, upload, etags, instead_of=claimed)
    except (Unmet, Missing):
        head = _head(bucket, name)
        if not head or is_claim(head) or head.metadata.get(ID) != identity:
            raise NameTaken(name) from None  # the claim had lapsed
        return head
    return bucket.head(name)


def release(bucket: Bucket, name: FileName, claimed: str) -> None:
    """Give a claimed name back, unless somebody has it by now."""
    with suppress(Unmet, Missing):
        bucket.delete(name, claimed)


def lapsed(head: Head) -> bool:
    """Whether it is the claim of a process that must be dead."""
    return is_claim(head) and head.age > _LAPSES_SECONDS


def identity_at(bucket: Bucket, name: FileName) -> str | None:
    """The id of the upload that made the file of this name."""
    head = _head(bucket, name)
    return None if not head or is_claim(head) else head.metadata.get(ID)


def _head(bucket: Bucket, name: FileName) -> Head | None:
    try:
        return bucket.head(name)
    except Missing:
        return None
