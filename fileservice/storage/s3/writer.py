"""The writers of files that come in one request: in memory, then in pieces or in their place."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from fileservice.filetypes import media_type_of
from fileservice.names import FileName
from fileservice.storage.errors import NameReserved, NameTaken, StorageError
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.metadata import HAS_FACTS, ID, MetadataStore, new_id
from fileservice.storage.s3.parts import PART, PartBuffer, PartUploads, part_size
from fileservice.storage.s3.pieces import Pieces

STAGING = ".fileservice/staging/"


class SpoolingWriter:
    """See `storage.interface.Writer`; what does not fit into memory lies in pieces."""

    def __init__(self, bucket: Bucket, metadata_store: MetadataStore, length: int | None) -> None:
        self._metadata_store = metadata_store
        self._identity = new_id()
        self._pieces = Pieces(bucket, f"{STAGING}{self._identity}/", [])
        self._pieces.length = length

    @property
    def size(self) -> int:
        return self._pieces.size

    def write(self, block: bytes | memoryview) -> None:
        self._pieces.write(block)

    def take_back(self) -> bytearray:
        """All that was written, while it is in memory; there is nothing then."""
        return self._pieces.take_back()

    def read_at(self, count: int, offset: int) -> bytes:
        return self._pieces.read_at(count, offset)

    def descriptor(self) -> AbstractContextManager[int]:
        return self._pieces.descriptor()

    def publish(self, name: FileName, content: Content) -> StoredFile:
        return self._pieces.publish(self._metadata_store, name, content, self._identity)

    def close(self) -> None:
        self._pieces.close()
        if not self._pieces.all_in_memory:
            with suppress(StorageError):  # the sweep removes what is left
                self._pieces.remove()


class StreamingWriter:
    """See `storage.interface.Writer`; what does not fit into memory goes to its place in parts.

    Only what is in memory can be read back.
    """

    def __init__(
        self, bucket: Bucket, metadata_store: MetadataStore, length: int | None, name: FileName
    ) -> None:
        self._bucket = bucket
        self._metadata_store = metadata_store
        self._length = length
        self._name = name
        self._identity = new_id()
        self._object_metadata = {ID: self._identity, HAS_FACTS: "1"}
        self._media_type = media_type_of(name.extension)
        self._small = SpoolingWriter(bucket, metadata_store, length)
        self._upload: str | None = None
        self._filling: PartBuffer | None = None
        self._used: list[bytearray] = []
        self._sent = 0
        self._etags: dict[int, str] = {}
        self._flight = PartUploads()
        self._published = False

    @property
    def size(self) -> int:
        filled = self._filling.filled if self._filling else 0
        return self._small.size if self._upload is None else self._sent + filled

    def write(self, block: bytes | memoryview) -> None:
        if self._upload is None:
            if self._small.size + len(block) <= PART:
                self._small.write(block)
                return
            self._begin()
        self._fill(memoryview(block))

    def _fill(self, rest: memoryview) -> None:
        while rest:
            if self._filling is None:
                self._filling = PartBuffer(part_size(self._sent, self._length), self._used)
            rest = self._filling.add(rest)
            if self._filling.full and rest:  # the last part is sent when it is known to be that
                self._send()

    def _begin(self) -> None:
        self._upload = self._bucket.create_multipart_upload(
            self._name, self._media_type, self._object_metadata
        )
        self._filling = PartBuffer.begun(self._small.take_back(), part_size(0, self._length))

    def _send(self) -> None:
        assert self._filling
        data, self._filling = self._filling.taken(), None
        number = len(self._etags) + 1
        self._etags[number] = ""
        self._sent += len(data)
        self._flight.start(lambda: self._put(number, data))

    def _put(self, number: int, data: bytearray) -> None:
        assert self._upload
        self._etags[number] = self._bucket.upload_part(self._name, self._upload, number, data)
        self._used.append(data)

    def read_at(self, count: int, offset: int) -> bytes:
        if self._upload is not None:
            raise ValueError("what is in its place already cannot be read back")
        return self._small.read_at(count, offset)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        if self._upload is not None:
            raise ValueError("what is in its place already cannot be read back")
        with self._small.descriptor() as descriptor:
            yield descriptor

    def publish(self, name: FileName, content: Content) -> StoredFile:
        if self._upload is None:
            return self._small.publish(name, content)
        if name != self._name:
            raise ValueError(f"this file was meant for {self._name!r}")
        if self._filling:
            self._send()
        self._flight.wait_all()
        self._metadata_store.write(self._identity, name, content)
        etags = [self._etags[number] for number in sorted(self._etags)]
        try:
            head = reservation.complete(
                self._bucket,
                name,
                self._upload,
                etags,
                self.size,
                self._media_type,
                self._object_metadata,
            )
        except (NameTaken, NameReserved):  # after any other, the file may be there all the same
            self._metadata_store.drop(self._identity)
            raise
        self._published = True
        return self._metadata_store.describe(name, head)

    def close(self) -> None:
        self._flight.end()
        if self._upload is not None and not self._published:
            with suppress(StorageError):  # the sweep removes what is left
                self._bucket.abort_multipart_upload(self._name, self._upload)
