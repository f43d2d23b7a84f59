"""The writers of files that arrive in one request.

Both keep the beginning of a file in memory, up to the size of one part. SpoolingWriter sends the
bytes after it to pieces, which can be read back before the file is published. StreamingWriter sends
all of them to the final object as a multipart upload, which cannot.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

from fileservice.filetypes import media_type_of
from fileservice.names import FileName
from fileservice.storage.errors import (
    NameReserved,
    NameTaken,
    NotFound,
    StorageError,
    VersionChanged,
)
from fileservice.storage.files import Content, Owner, StoredFile
from fileservice.storage.s3 import assembly, reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.expiry_index import ExpiryIndex
from fileservice.storage.s3.layout import STAGING, new_id
from fileservice.storage.s3.metadata import (
    ID,
    IS_SEPARATE,
    MetadataStore,
    content_type_of,
    metadata_of,
)
from fileservice.storage.s3.objects import ObjectHead
from fileservice.storage.s3.parts import PART, PartBuffer, PartUploads, part_size
from fileservice.storage.s3.pieces import Pieces
from fileservice.storage.s3.replacement import Replacement, replacement_of


class SpoolingWriter:
    """See `interface.Writer`; every byte can be read back before the file is published."""

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        expiry_index: ExpiryIndex,
        length: int | None,
    ) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._expiry_index = expiry_index
        self._id = new_id()
        self._pieces = Pieces(client, f"{STAGING}{self._id}/", [])
        self._pieces.length = length
        self.replaced: StoredFile | None = None
        self.sync_seconds = 0.0

    @property
    def size(self) -> int:
        return self._pieces.size

    def write(self, block: bytes | memoryview) -> None:
        self._pieces.write(block)

    def take_buffer(self) -> bytearray:
        """Remove all bytes, which must all be in memory, and return them."""
        return self._pieces.take_buffer()

    def read_at(self, count: int, offset: int) -> bytes:
        return self._pieces.read_at(count, offset)

    def descriptor(self) -> AbstractContextManager[int]:
        return self._pieces.descriptor()

    def reopen(self) -> None:
        return None

    def publish(
        self,
        name: FileName,
        content: Content,
        owner: Owner | None = None,
        *,
        replaces: str | None = None,
        expires: int | None = None,
        event: str = "",
    ) -> StoredFile:
        metadata = metadata_of(content, owner, expires, event) | {ID: self._id}
        target = reservation.Target(name, content_type_of(content), metadata)
        replacement = replacement_of(
            self._client, self._metadata_store, self._expiry_index, name, replaces
        )
        with self._expiry_index.entry(name, expires, self._id):
            head = assembly.publish(self._client, self._pieces, target, replacement=replacement)
        self.replaced = replacement.replaced if replacement else None
        return self._metadata_store.describe(name, head)

    def close(self) -> None:
        self._pieces.close()
        if not self._pieces.all_in_memory:
            with suppress(StorageError):  # otherwise the sweep removes them
                self._pieces.remove()


class StreamingWriter:
    """See `interface.Writer`; bytes can be read back only while all of them are in memory."""

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        expiry_index: ExpiryIndex,
        length: int | None,
        name: FileName,
    ) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._expiry_index = expiry_index
        self._length = length
        self._id = new_id()
        metadata = {ID: self._id, IS_SEPARATE: "1"}
        self._target = reservation.Target(name, media_type_of(name.extension), metadata)
        self._beginning = SpoolingWriter(client, metadata_store, expiry_index, length)
        """Holds the file as long as it fits into memory."""
        self._upload_id: str | None = None
        """The multipart upload that the bytes are sent to once they do not fit."""
        self._buffer: PartBuffer | None = None
        self._unused_buffers: list[bytearray] = []
        self._sent = 0
        self._etags: dict[int, str] = {}
        self._uploads = PartUploads()
        self._published = False
        self._replaced: StoredFile | None = None
        self.sync_seconds = 0.0

    @property
    def replaced(self) -> StoredFile | None:
        return self._replaced or self._beginning.replaced

    @property
    def size(self) -> int:
        if self._upload_id is None:
            return self._beginning.size
        return self._sent + (self._buffer.filled if self._buffer else 0)

    def write(self, block: bytes | memoryview) -> None:
        if self._upload_id is None:
            if self._beginning.size + len(block) <= PART:
                self._beginning.write(block)
                return
            self._begin_upload()
        rest = memoryview(block)
        while rest:
            if self._buffer is None:
                size = part_size(self._sent, self._length)
                self._buffer = PartBuffer(size, self._unused_buffers)
            rest = self._buffer.add(rest)
            if self._buffer.full and rest:  # a last part is sent once it is known to be the last
                self._send_part()

    def _begin_upload(self) -> None:
        name, content_type = self._target.name, self._target.content_type
        self._upload_id = self._client.create_multipart_upload(
            name, content_type, self._target.metadata
        )
        beginning = self._beginning.take_buffer()
        self._buffer = PartBuffer.beginning_with(beginning, part_size(0, self._length))

    def _send_part(self) -> None:
        assert self._buffer
        data, self._buffer = self._buffer.take(), None
        number = len(self._etags) + 1
        self._etags[number] = ""
        self._sent += len(data)
        self._uploads.start(partial(self._upload_part, number, data))

    def _upload_part(self, number: int, data: bytearray) -> None:
        assert self._upload_id
        name = self._target.name
        self._etags[number] = self._client.upload_part(name, self._upload_id, number, data)
        self._unused_buffers.append(data)

    def read_at(self, count: int, offset: int) -> bytes:
        self._require_memory()
        return self._beginning.read_at(count, offset)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        self._require_memory()
        with self._beginning.descriptor() as descriptor:
            yield descriptor

    def reopen(self) -> None:
        return None

    def _require_memory(self) -> None:
        if self._upload_id is not None:
            raise ValueError("the parts of a multipart upload cannot be read back")

    def publish(
        self,
        name: FileName,
        content: Content,
        owner: Owner | None = None,
        *,
        replaces: str | None = None,
        expires: int | None = None,
        event: str = "",
    ) -> StoredFile:
        if self._upload_id is None:
            return self._beginning.publish(
                name, content, owner, replaces=replaces, expires=expires, event=event
            )
        if name != self._target.name:
            raise ValueError(f"the bytes were sent to {self._target.name!r} and not to {name!r}")
        if self._buffer:
            self._send_part()
        self._uploads.wait_all()
        self._metadata_store.write(self._id, name, metadata_of(content, owner, expires, event))
        etags = [self._etags[number] for number in sorted(self._etags)]
        replacement = replacement_of(
            self._client, self._metadata_store, self._expiry_index, name, replaces
        )
        try:
            with self._expiry_index.entry(name, expires, self._id):
                head = self._complete(replacement, etags)
        except (NameTaken, NameReserved, VersionChanged, NotFound):
            self._metadata_store.remove(self._id)
            raise  # after any other error the file may exist nevertheless
        self._published = True
        return self._metadata_store.describe(name, head)

    def _complete(self, replacement: Replacement | None, etags: list[str]) -> ObjectHead:
        assert self._upload_id
        if not replacement:
            return reservation.complete(
                self._client, self._target, self._upload_id, etags, self.size
            )
        head = replacement.complete(self._target, self._upload_id, etags, self.size)
        self._replaced = replacement.replaced
        return head

    def close(self) -> None:
        self._uploads.end()
        if self._upload_id is not None and not self._published:
            with suppress(StorageError):  # otherwise the sweep aborts it
                self._client.abort_multipart_upload(self._target.name, self._upload_id)
