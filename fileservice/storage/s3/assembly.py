"""Assembly: pieces become one file.

S3 cannot append, so a file of more than one part is a multipart upload whose parts are the pieces,
copied by the bucket itself (UploadPartCopy) or sent once more (UploadPart).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from fileservice.storage.errors import NameTaken, StorageError
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.objects import ObjectHead
from fileservice.storage.s3.parts import MOST_PARTS, PART, PartUploads
from fileservice.storage.s3.pieces import Piece, Pieces, end_of
from fileservice.storage.s3.replacement import Replacement

_SMALLEST_PART = 5 << 20
"""The least size of a part that is not the last ("Amazon S3 multipart upload limits")."""
_LARGEST_COPY = 5 << 30


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `first` to before `end` as one part of the file."""

    first: int
    end: int
    copied_from: str | None
    """The key of the piece that the part is a copy of; None where the bytes have to be sent."""


def plan_parts(pieces: Sequence[Piece], *, copies: bool) -> list[Part]:
    """Divide the bytes of contiguous pieces into parts of sizes that S3 accepts.

    Pieces that are too small are joined with those that follow. `copies` is whether UploadPartCopy
    may be used.
    """
    size = end_of(pieces)
    smallest = _SMALLEST_PART
    if len(pieces) > MOST_PARTS:
        smallest = max(smallest, -(-size // (MOST_PARTS // 2)))
    parts: list[Part] = []
    first = 0
    for piece in pieces:
        alone = piece.offset == first and piece.size >= smallest
        if not alone and piece.end - first < max(PART, smallest) and piece.end < size:
            continue
        copied = copies and alone and piece.size <= _LARGEST_COPY
        parts.append(Part(first, piece.end, piece.key if copied else None))
        first = piece.end
    return parts


def publish(
    client: S3Client,
    pieces: Pieces,
    target: reservation.Target,
    *,
    replacement: Replacement | None = None,
    before_completion: Callable[[], None] = lambda: None,
) -> ObjectHead:
    """Make a file of the bytes. Raises NameTaken, NameReserved, and what a replacement raises.

    `before_completion` is called when all bytes are in place, and may raise, so that the file does
    not become visible.
    """
    name = target.name
    if pieces.size <= PART:
        data = pieces.read_at(pieces.size, 0)
        if replacement:
            return replacement.create(target, data)
        return reservation.create(client, target, data)
    pieces.wait_all()
    # This is found out before all bytes are copied in vain.
    if replacement:
        if published := replacement.require_version(target):
            return published
    elif reservation.find_file(client, name):
        raise NameTaken(name)
    upload_id = client.create_multipart_upload(name, target.content_type, target.metadata)
    try:
        etags = _upload_parts(client, pieces, name, upload_id)
        before_completion()
        if replacement:
            return replacement.complete(target, upload_id, etags, pieces.size)
        return reservation.complete(client, target, upload_id, etags, pieces.size)
    except BaseException:
        with suppress(StorageError):  # otherwise the sweep aborts it
            client.abort_multipart_upload(name, upload_id)
        raise


def _upload_parts(client: S3Client, pieces: Pieces, name: str, upload_id: str) -> list[str]:
    etags: dict[int, str] = {}

    def upload(number: int, part: Part) -> None:
        if part.copied_from is not None:
            etags[number] = client.upload_part_copy(name, upload_id, number, part.copied_from)
        else:
            data = pieces.read_at(part.end - part.first, part.first)
            etags[number] = client.upload_part(name, upload_id, number, data)

    uploads = PartUploads()
    try:
        for number, part in enumerate(plan_parts(tuple(pieces), copies=client.copies), 1):
            uploads.start(partial(upload, number, part))
        uploads.wait_all()
    finally:
        uploads.end()
    return [etags[number] for number in sorted(etags)]
