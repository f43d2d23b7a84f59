"""Pieces: bytes that can be read before they are a file, as objects of their own.

    FOLDER/00000000000000000000    the bytes from 0 on
    FOLDER/00000000000008388608    those that follow

Each is created by If-None-Match: *, so two writers can never both write at one offset. What counts
is what lies together from 0 on; how much that is, is written down nowhere else.
"""

import bisect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from fileservice.names import FileName
from fileservice.storage.errors import Locked, NameTaken, StorageError, StorageUnavailable
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.bucket import Bucket, Entry
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.metadata import ID, MetadataStore, http_type, metadata_of
from fileservice.storage.s3.parts import MOST_PARTS, PART, PartUploads, part_size

_SMALLEST_PART = 5 << 20
"""What S3 takes as a part that is not the last, in bytes."""
_LARGEST_COPY = 5 << 30
_SIGHT = 32 << 20
"""How much is shown of the beginning and of the end to those who need a descriptor."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    key: str
    offset: int
    size: int


def contiguous(entries: list[Entry]) -> tuple[list[Piece], list[str]]:
    """The pieces that lie together from 0 on, and the keys of those that do not."""
    pieces, others, end = [], [], 0
    for entry in entries:
        digits = entry.key.rpartition("/")[2]
        if len(digits) != 20 or not digits.isdigit():
            continue
        if int(digits) == end:
            pieces.append(Piece(entry.key, end, entry.size))
            end += entry.size
        else:
            others.append(entry.key)
    return pieces, others


def end_of(pieces: list[Piece]) -> int:
    """How many bytes lie together in `contiguous` pieces."""
    return pieces[-1].offset + pieces[-1].size if pieces else 0


class Pieces:
    """The bytes under one folder, of which this is the only writer."""

    def __init__(self, bucket: Bucket, folder: str, pieces: list[Piece]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._pieces = pieces
        self._flight = PartUploads()
        self._buffer = bytearray()
        self.length: int | None = None
        self.size = self._flushed

    @property
    def _flushed(self) -> int:
        return end_of(self._pieces)

    def write(self, block: bytes | memoryview) -> None:
        """Append a block; whole pieces are on their way when this returns."""
        rest = memoryview(block)
        while rest:
            room = part_size(self._flushed, self.length) - len(self._buffer)
            if room <= 0:
                self.flush()
                continue
            self._buffer += rest[:room]
            self.size += min(room, len(rest))
            rest = rest[room:]

    def flush(self) -> None:
        """Send what is in memory on its way."""
        if not self._buffer:
            return
        data, self._buffer = self._buffer, bytearray()
        offset = self._flushed
        piece = Piece(f"{self._folder}{offset:020}", offset, len(data))
        self._pieces.append(piece)
        self._flight.start(lambda: self._put(piece, data))

    def wait_all(self) -> None:
        """Return when all that was written is in the bucket."""
        self.flush()
        self._flight.wait_all()

    def close(self) -> None:
        """Wait for what is on its way, whatever comes of it; nothing can be written any more."""
        self._flight.end()

    def take_back(self) -> bytearray:
        """All that was written, none of which is in the bucket yet; there is nothing then."""
        data, self._buffer = self._buffer, bytearray()
        self.size = 0
        return data

    @property
    def kept_back(self) -> int:
        """Bytes in memory."""
        return len(self._buffer)

    @property
    def all_in_memory(self) -> bool:
        """Whether nothing has gone to the bucket yet."""
        return not self._pieces

    def _put(self, piece: Piece, data: bytearray) -> None:
        try:
            self._bucket.put(piece.key, data, only="*")
        except PreconditionFailed:
            # Our own, if the answer was lost; else another has taken over.
            try:
                ours = self._bucket.read(piece.key) == data
            except ObjectMissing:  # another has ended the upload
                ours = False
            if not ours:
                raise Locked from None

    def read_at(self, count: int, offset: int) -> bytes:
        """See `storage.interface.StagedFile`."""
        if offset < self._flushed:
            self._flight.wait_all()
        found = bytearray()
        index = bisect.bisect_right(self._pieces, offset, key=lambda piece: piece.offset) - 1
        end = min(self.size, offset + count)
        for piece in self._pieces[max(index, 0) :]:
            at = offset + len(found)
            if at >= end or at >= piece.offset + piece.size:
                break
            upto = min(end, piece.offset + piece.size)
            found += self._read(piece.key, at - piece.offset, upto - piece.offset)
        at = offset + len(found) - self._flushed
        if at >= 0:
            found += self._buffer[at : at + count - len(found)]
        return bytes(found)

    def _read(self, key: str, first: int, end: int) -> bytes:
        try:
            return self._bucket.read(key, first, end)
        except ObjectMissing as error:  # another has ended the upload, or the sweep has
            raise StorageUnavailable("bytes that were sent before are gone") from error

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """See `storage.interface.StagedFile`: a file in memory."""
        descriptor = os.memfd_create("fileservice", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, self.size)
            late = max(_SIGHT, self.size - _SIGHT)
            for begin, end in ((0, min(_SIGHT, self.size)), (late, self.size)):
                for offset in range(begin, end, _BLOCK):
                    data = self.read_at(min(_BLOCK, end - offset), offset)
                    os.pwrite(descriptor, data, offset)
            yield descriptor
        finally:
            os.close(descriptor)

    def truncate(self, size: int) -> None:
        """Drop what lies past the first `size` bytes."""
        self._flight.wait_all()
        if size >= self._flushed:
            del self._buffer[size - self._flushed :]
        else:
            self._buffer.clear()
            doomed = [piece.key for piece in self._pieces if piece.offset >= size]
            self._bucket.delete_all(doomed[::-1])
            self._pieces = [piece for piece in self._pieces if piece.offset < size]
            last = self._pieces[-1] if self._pieces else None
            if last and last.offset + last.size > size:
                self._cut(last, size - last.offset)
                self._pieces[-1] = Piece(last.key, last.offset, size - last.offset)
        self.size = size

    def _cut(self, piece: Piece, size: int) -> None:
        try:
            head, data = self._bucket.load(piece.key, 0, size)
            self._bucket.put(piece.key, data, only=head.etag)
        except (PreconditionFailed, ObjectMissing) as refusal:
            # Done, if the answer was lost; else another has taken over.
            if not refusal.repeated or self._read(piece.key, 0, piece.size) != data:
                raise Locked from None

    def publish(
        self,
        metadata_store: MetadataStore,
        name: FileName,
        content: Content,
        identity: str,
        renew_now: Callable[[], None] = lambda: None,
    ) -> StoredFile:
        """Make a file of the bytes. Raises NameTaken, NameReserved.

        When all has been copied, `assure` is asked once more whether it may be; then it raises.
        """
        metadata = metadata_of(content) | {ID: identity}
        if self.size <= PART:
            data = self.read_at(self.size, 0)
            head = reservation.create(self._bucket, name, data, http_type(content), metadata)
            return metadata_store.describe(name, head)
        self.wait_all()
        if reservation.file_at(self._bucket, name):
            raise NameTaken(name)  # before all of it is copied
        media_type = http_type(content)
        upload = self._bucket.create_multipart_upload(name, media_type, metadata)
        try:
            etags = self._copy(name, upload)
            renew_now()
            head = reservation.complete(
                self._bucket, name, upload, etags, self.size, media_type, metadata
            )
        except BaseException:
            with suppress(StorageError):  # the sweep removes what is left
                self._bucket.abort_multipart_upload(name, upload)
            raise
        return metadata_store.describe(name, head)

    def _copy(self, name: FileName, upload: str) -> list[str]:
        """The parts of an upload, out of the pieces; those too small are joined in memory."""
        etags: dict[int, str] = {}
        flight = PartUploads()

        def copy(number: int, key: str) -> None:
            etags[number] = self._bucket.upload_part_copy(name, upload, number, key)

        def put(number: int, offset: int, count: int) -> None:
            data = self.read_at(count, offset)
            etags[number] = self._bucket.upload_part(name, upload, number, data)

        number, begin = 0, 0
        smallest = _SMALLEST_PART
        if len(self._pieces) > MOST_PARTS:
            smallest = max(smallest, -(-self.size // (MOST_PARTS // 2)))
        try:
            for piece in [*self._pieces, None]:
                joins = piece and (piece.offset > begin or piece.size < smallest)
                end = piece.offset + piece.size if piece else self.size
                if piece and joins and end - begin < max(PART, smallest):
                    continue
                if piece is None and begin == self.size:
                    break
                number += 1
                copied = self._bucket.copies and piece and piece.size <= _LARGEST_COPY
                if piece and copied and not joins:
                    flight.start(lambda n=number, key=piece.key: copy(n, key))  # type: ignore[misc]
                else:
                    flight.start(lambda n=number, b=begin, e=end: put(n, b, e - b))  # type: ignore[misc]
                begin = end
            flight.wait_all()
        finally:
            flight.end()
        return [etags[n] for n in sorted(etags)]

    def remove(self) -> None:
        """Remove all there is, from the bucket and from memory."""
        self._flight.wait()
        doomed, self._pieces = [piece.key for piece in self._pieces], []
        self._buffer.clear()
        self.size = 0
        self._bucket.delete_all(doomed)
