"""Pieces: bytes that can be read back before they become a file, as objects of their own.

FOLDER/00000000000000000000    the bytes from 0 on
FOLDER/00000000000008388608    the bytes that follow those of the first object

Each is created with If-None-Match: * (PutObject), so two writers can never both write at one
offset. Only contiguous pieces from 0 on count, and their length is recorded nowhere else.
"""

import bisect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from fileservice.storage.errors import Locked, StorageUnavailable
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import piece_key, piece_offset
from fileservice.storage.s3.listing import ListedObject
from fileservice.storage.s3.parts import PartUploads, part_size

_DESCRIPTOR_BYTES = 32 << 20
"""A descriptor has so many bytes of the beginning, and as many of the end."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """One object that holds the bytes from `offset` to before `end`."""

    key: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


def contiguous(objects: Sequence[ListedObject]) -> tuple[list[Piece], list[str]]:
    """Return the pieces that are contiguous from 0 on, and the keys of all other pieces."""
    pieces: list[Piece] = []
    other_keys = []
    for listed in objects:
        offset = piece_offset(listed.key)
        if offset is None:
            continue
        if offset == end_of(pieces):
            pieces.append(Piece(listed.key, offset, listed.size))
        else:
            other_keys.append(listed.key)
    return pieces, other_keys


def end_of(pieces: Sequence[Piece]) -> int:
    """Return how many bytes contiguous pieces hold."""
    return pieces[-1].end if pieces else 0


class Pieces:
    """The bytes under one folder, of which this is the only writer. See `interface.StagedFile`."""

    def __init__(self, client: S3Client, folder: str, pieces: list[Piece]) -> None:
        self._client = client
        self._folder = folder
        self._pieces = pieces
        self._uploads = PartUploads()
        self._buffer = bytearray()
        """The bytes after the last piece."""
        self.length: int | None = None
        """How many bytes there will be, if that is known."""
        self.size = end_of(pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(tuple(self._pieces))

    @property
    def buffered(self) -> int:
        """How many bytes are in memory only."""
        return len(self._buffer)

    @property
    def all_in_memory(self) -> bool:
        """Whether no bytes were sent to the bucket yet."""
        return not self._pieces

    def write(self, block: bytes | memoryview) -> None:
        """Append a block. Pieces that are full are being sent when this returns."""
        rest = memoryview(block)
        while rest:
            room = part_size(end_of(self._pieces), self.length) - len(self._buffer)
            if room <= 0:
                self.flush()
                continue
            self._buffer += rest[:room]
            self.size += min(room, len(rest))
            rest = rest[room:]

    def flush(self) -> None:
        """Begin to send the bytes in memory."""
        if not self._buffer:
            return
        data, self._buffer = self._buffer, bytearray()
        offset = end_of(self._pieces)
        piece = Piece(piece_key(self._folder, offset), offset, len(data))
        self._pieces.append(piece)
        self._uploads.start(partial(self._put, piece, data))

    def wait_all(self) -> None:
        """Return when all bytes that were written are in the bucket."""
        self.flush()
        self._uploads.wait_all()

    def close(self) -> None:
        """Wait for the requests that are running; nothing can be written afterwards."""
        self._uploads.end()

    def take_buffer(self) -> bytearray:
        """Remove all bytes, none of which have been sent, and return them."""
        data, self._buffer = self._buffer, bytearray()
        self.size = 0
        return data

    def _put(self, piece: Piece, data: bytearray) -> None:
        try:
            self._client.put_object(piece.key, data, if_none_match="*")
        except PreconditionFailed:
            try:
                ours = self._client.read_object(piece.key)[1] == data  # our answer was lost
            except ObjectMissing:  # another writer has ended the upload
                ours = False
            if not ours:
                raise Locked from None

    def read_at(self, count: int, offset: int) -> bytes:
        if offset < end_of(self._pieces):
            self._uploads.wait_all()
        data = bytearray()
        index = bisect.bisect_right(self._pieces, offset, key=lambda piece: piece.offset) - 1
        end = min(self.size, offset + count)
        for piece in self._pieces[max(index, 0) :]:
            position = offset + len(data)
            if position >= min(end, piece.end):
                break
            data += self._read(piece, position, min(end, piece.end))
        in_buffer = offset + len(data) - end_of(self._pieces)
        if in_buffer >= 0:
            data += self._buffer[in_buffer : in_buffer + count - len(data)]
        return bytes(data)

    def _read(self, piece: Piece, first: int, end: int) -> bytes:
        try:
            _, data = self._client.read_object(piece.key, first - piece.offset, end - piece.offset)
        except ObjectMissing as error:  # another writer has ended the upload, or a sweep did
            raise StorageUnavailable("bytes that were sent before are missing") from error
        return data

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        descriptor = os.memfd_create("fileservice", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, self.size)
            tail = max(_DESCRIPTOR_BYTES, self.size - _DESCRIPTOR_BYTES)
            for begin, end in ((0, min(_DESCRIPTOR_BYTES, self.size)), (tail, self.size)):
                for offset in range(begin, end, _BLOCK):
                    data = self.read_at(min(_BLOCK, end - offset), offset)
                    os.pwrite(descriptor, data, offset)
            yield descriptor
        finally:
            os.close(descriptor)

    def truncate(self, size: int) -> None:
        """Remove all bytes after the first `size`. Raises Locked."""
        self._uploads.wait_all()
        if size >= end_of(self._pieces):
            del self._buffer[size - end_of(self._pieces) :]
        else:
            self._buffer.clear()
            beyond = [piece.key for piece in self._pieces if piece.offset >= size]
            self._client.delete_objects(beyond[::-1])
            self._pieces = [piece for piece in self._pieces if piece.offset < size]
            if end_of(self._pieces) > size:
                self._pieces[-1] = self._shorten(self._pieces[-1], size - self._pieces[-1].offset)
        self.size = size

    def _shorten(self, piece: Piece, size: int) -> Piece:
        try:
            head, data = self._client.read_object(piece.key, 0, size)
            self._client.put_object(piece.key, data, if_match=head.etag)
        except (PreconditionFailed, ObjectMissing) as error:
            # If the answer was lost, the piece is short already; otherwise another took over.
            if not error.repeated or self._read(piece, piece.offset, piece.end) != data:
                raise Locked from None
        return Piece(piece.key, piece.offset, size)

    def remove(self) -> None:
        """Remove all bytes, from the bucket and from memory."""
        self._uploads.wait()
        keys, self._pieces = [piece.key for piece in self._pieces], []
        self._buffer.clear()
        self.size = 0
        self._client.delete_objects(keys)
