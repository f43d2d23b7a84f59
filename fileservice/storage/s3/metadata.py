"""What is known about an object's content, and where it is kept.

A file that came in one piece has it in its metadata. The metadata of one that came in parts was
fixed before its bytes were there: it has only an id, and the rest is in a small object that is
written once, before the file becomes visible: .fileservice/facts/ID.
"""

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress

from fileservice.filetypes import media_type_of
from fileservice.names import FileName
from fileservice.storage.errors import StorageError
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.s3.bucket import Bucket, Entry, Head
from fileservice.storage.s3.calls import RETRY_SECONDS_WITH_BODY
from fileservice.storage.s3.errors import ObjectMissing

FACTS = ".fileservice/facts/"
ID = "fileservice-id"
"""Metadata: which upload made the object, so that a repeated request can tell its own success."""
HAS_FACTS = "fileservice-facts"
"""Metadata: what is known lies in an object of its own."""
_FIELDS = {
    "fileservice-type": re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}"),
    "fileservice-charset": re.compile(r"[A-Za-z0-9-]{1,40}"),
    "fileservice-sha256": re.compile(r"[0-9a-f]{64}"),
}
_REMEMBERED = 4096


def new_id() -> str:
    """An id that no other upload has."""
    return secrets.token_hex(16)


def metadata_of(content: Content) -> dict[str, str]:
    """What is known, as metadata."""
    fields = {"fileservice-type": content.media_type}
    if content.charset:
        fields["fileservice-charset"] = content.charset
    if content.sha256:
        fields["fileservice-sha256"] = content.sha256.hex()
    return fields


def http_type(content: Content) -> str:
    """The Content-Type that other clients of the bucket are to see."""
    return content.media_type + (f"; charset={content.charset}" if content.charset else "")


class MetadataStore:
    """The objects under .fileservice/facts/, which never change; some are remembered."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._remembered: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    def write(self, identity: str, name: FileName, content: Content) -> None:
        """Keep what is known about the file with this id."""
        metadata = metadata_of(content) | {"name": name}
        data = json.dumps(metadata).encode()
        self._bucket.put(FACTS + identity, data, patience=RETRY_SECONDS_WITH_BODY)

    def drop(self, identity: str) -> None:
        """Forget it, as far as the store can just now: the sweep removes what is left."""
        self._remembered.pop(identity, None)
        with suppress(StorageError):
            self._bucket.delete(FACTS + identity)

    def describe(self, name: FileName, head: Head) -> StoredFile:
        """What the object tells, and its facts if it has any."""
        known = head.metadata
        if HAS_FACTS in known:
            known = self._read(known.get(ID, ""))
        media_type, charset, sha256 = (
            value if value and form.fullmatch(value) else None
            for value, form in ((known.get(field), form) for field, form in _FIELDS.items())
        )
        return StoredFile(
            name=name,
            size=head.size,
            modified_ns=int(head.modified.timestamp()) * 1_000_000_000,
            content=Content(
                media_type or media_type_of(name.extension),
                charset if media_type else None,
                bytes.fromhex(sha256) if sha256 else None,
            ),
            version=sha256 or version_of(head.etag),
        )

    def _read(self, identity: str) -> Mapping[str, str]:
        known = self._remembered.get(identity)
        if known is None:
            try:
                known = json.loads(self._bucket.read(FACTS + identity))
            except (ObjectMissing, ValueError):
                return {}
            if not isinstance(known, dict):
                return {}
            self._remembered[identity] = known
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return known


def version_of(etag: str) -> str:
    """An ETag of S3, which changes with the bytes, as a version."""
    return re.sub(r"[^!#-~]", "", etag)


def listed(name: FileName, entry: Entry) -> StoredFile:
    """What a listing tells of an object."""
    return StoredFile(
        name=name,
        size=entry.size,
        modified_ns=int(entry.modified.timestamp()) * 1_000_000_000,
        content=Content(media_type_of(name.extension)),
        version=version_of(entry.etag),
    )
