"""The description of a file's content and its owner, and the objects that they are kept in.

The content of a file that was published in one request is in the user-defined metadata of its
object. That of a file that was sent in parts was fixed before its bytes arrived (by
CreateMultipartUpload), so it has only an id, and the content is in an object of its own,
.fileservice/metadata/ID, which is written before the file becomes visible and never changes.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

from fileservice.filetypes import media_type_of
from fileservice.names import FileName
from fileservice.storage.errors import StorageError
from fileservice.storage.files import (
    Content,
    Owner,
    StoredFile,
    event_from_text,
    expiry_from_text,
)
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.layout import METADATA
from fileservice.storage.s3.listing import ListedObject
from fileservice.storage.s3.objects import ObjectHead

ID = "fileservice-id"
"""Key of the id of the upload that made an object; after a lost answer it shows who succeeded."""
IS_SEPARATE = "fileservice-metadata"
"""Key that says that the content is in an object of its own."""
_NAME = "name"
_TYPE, _CHARSET, _SHA256 = "fileservice-type", "fileservice-charset", "fileservice-sha256"
_OWNER, _EXPIRES = "fileservice-owner", "fileservice-expires"
_EVENT = "fileservice-event"
_CACHED_OBJECTS = 4096


def metadata_of(
    content: Content, owner: Owner | None, expires: int | None, event: str
) -> dict[str, str]:
    """Return the user-defined metadata: what `Writer.publish` is given to keep."""
    fields = {_TYPE: content.media_type}
    if owner:
        fields[_OWNER] = owner.to_text()
    if expires is not None:
        fields[_EXPIRES] = str(expires)
    if content.charset:
        fields[_CHARSET] = content.charset
    if content.sha256:
        fields[_SHA256] = content.sha256.hex()
    if event:
        fields[_EVENT] = event
    return fields


def content_type_of(content: Content) -> str:
    """Return the Content-Type of the object, for those who read the bucket without the service."""
    return content.media_type + (f"; charset={content.charset}" if content.charset else "")


class MetadataStore:
    """The objects under .fileservice/metadata/."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._read = lru_cache(_CACHED_OBJECTS)(self._load)

    def write(self, upload: str, name: FileName, fields: Mapping[str, str]) -> None:
        """Store what `metadata_of` says of the file that this upload will become."""
        data = json.dumps({**fields, _NAME: name}).encode()
        seconds = self._client.timing.retry_with_body
        self._client.put_object(METADATA + upload, data, retry_seconds=seconds)

    def remove(self, upload: str) -> None:
        """Remove the object of an upload; if the bucket does not answer, the sweep does so."""
        with suppress(StorageError):
            self._client.delete_object(METADATA + upload)

    def remove_of(self, head: ObjectHead) -> None:
        """Remove the object, if there is one, of a file that was deleted."""
        if IS_SEPARATE in head.metadata:
            self.remove(head.metadata.get(ID, ""))

    def retire_of(self, head: ObjectHead) -> None:
        """Have the sweep remove the object of a file that was replaced, a day from now.

        Who has opened that file may not have read its description yet. The sweep judges by the age
        of the object, so the object is written again. Raises nothing.
        """
        if IS_SEPARATE in head.metadata:
            key = METADATA + head.metadata.get(ID, "")
            with suppress(StorageError, ObjectMissing):
                _, data = self._client.read_object(key)
                self._client.put_object(key, data)

    def describe(self, name: FileName, head: ObjectHead) -> StoredFile:
        """Describe a file whose object has this head."""
        fields = head.metadata
        if IS_SEPARATE in fields:
            try:
                fields = self._read(fields.get(ID, ""))
            except (ObjectMissing, ValueError):
                fields = {}
        media_type, charset, sha256 = (_text(fields, key) for key in (_TYPE, _CHARSET, _SHA256))
        content = Content.from_text(name, media_type, charset, sha256)
        return StoredFile(
            name=name,
            size=head.size,
            modified_ns=int(head.modified.timestamp()) * 1_000_000_000,
            content=content,
            version=content.sha256.hex() if content.sha256 else version_of(head.etag),
            owner=Owner.from_text(_text(fields, _OWNER)),
            expires=expiry_from_text(_text(fields, _EXPIRES)),
            event=event_from_text(_text(fields, _EVENT)),
        )

    def _load(self, upload: str) -> Mapping[str, str]:
        _, data = self._client.read_object(METADATA + upload)
        fields = json.loads(data)
        if not isinstance(fields, dict):
            raise ValueError("the object with the metadata of a file holds no JSON object")
        return fields


def name_in(data: bytes) -> FileName:
    """Return the name of the file that a metadata object describes. Raises ValueError, BadName."""
    return FileName.parse(json.loads(data)[_NAME])


def version_of(etag: str) -> str:
    """Return the version of an object without a digest: its ETag, which changes with its bytes."""
    return re.sub(r"[^!#-~]", "", etag)


def file_of(name: FileName, listed: ListedObject, expires: int | None = None) -> StoredFile:
    """Describe a file as far as a listing can."""
    return StoredFile(
        name=name,
        size=listed.size,
        modified_ns=int(listed.modified.timestamp()) * 1_000_000_000,
        content=Content(media_type_of(name.extension)),
        version=version_of(listed.etag),
        expires=expires,
    )


def _text(fields: Mapping[str, str], key: str) -> str | None:
    """Return the value of a field; None if it is missing, or no text in a JSON object."""
    value = fields.get(key)
    return value if isinstance(value, str) else None
