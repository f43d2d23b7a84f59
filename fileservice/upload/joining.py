"""Joining: complete parts, each uploaded for itself, become one file."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fileservice.storage import NoSuchUpload, ResumableWriter, StorageError, Store, in_full
from fileservice.upload import ContentMismatch, DigestMismatch, Offer, Offload, Rules, receive
from fileservice.upload.admission import type_of
from fileservice.upload.inspection import HEAD, Inspector
from fileservice.upload.ledger import Gone, Ledger, Status
from fileservice.upload.records import Record

_log = logging.getLogger(__name__)
_BLOCK = 1 << 20


class NotJoinable(Exception):
    """The parts are not all there, each of them complete."""


def join(
    offer: Offer,
    parts: Sequence[str],
    labels: Mapping[str, str],
    *,
    ledger: Ledger,
    rules: Rules,
    store: Store,
    offload: Offload,
) -> Status:
    """Publish the bytes of complete parts, one after the other, as one file.

    They take the same way in as any file, and are gone afterwards. So are parts that only turn out
    at their end not to be such a file: each byte that was sent is copied once at the most. Raises
    NotJoinable, Locked, and what `receive` raises.
    """
    if len(set(parts)) < len(parts):
        raise NotJoinable("a part can stand in a file once only; upload its bytes once more")
    with ExitStack() as stack:
        writers: dict[str, ResumableWriter] = {}
        for part in parts:
            writers[part] = _open(part, ledger, store, offload)
            stack.callback(offload, writers[part].close)
        ordered = list(writers.values())
        _judge_head(offer, ordered, rules, offload)
        offer = replace(offer, length=sum(writer.size for writer in ordered))
        record = Record(offer.name, offer.length, labels, joined=True)
        # First: what was published must not become an error for want of room for its record.
        upload = offload(store.uploads.create, record.to_bytes(), None)
        joined = offload(store.uploads.open, upload)
        stack.callback(offload, joined.close)
        try:
            receipt = receive(
                offer, _bytes_of(ordered, offload), rules=rules, store=store, offload=offload
            )
        except (ContentMismatch, DigestMismatch):
            _remove(ledger, upload, *parts)
            raise
        except BaseException:
            _remove(ledger, upload)
            raise
        finished = replace(record, finished=receipt.file)
        try:
            ledger.end(joined, finished)
        except StorageError as error:  # the file is published all the same
            _log.warning("the upload %s was published but not ended: %s", upload, in_full(error))
        _remove(ledger, *parts)
    return Status(upload, finished, receipt.file.size, ledger.expires_from_now())


def _judge_head(
    offer: Offer, writers: Sequence[ResumableWriter], rules: Rules, offload: Offload
) -> None:
    """Raise ContentMismatch where the first bytes show a wrong type, before anything is copied."""
    head = b""
    for writer in writers:
        head += offload(writer.read_at, HEAD - len(head), 0)
        if len(head) == HEAD:
            break
    offload(Inspector(type_of(offer.name, rules)).judge_by, head)


def _remove(ledger: Ledger, *uploads: str) -> None:
    for upload in uploads:
        try:
            ledger.remove(upload)
        except StorageError as error:
            _log.warning("the upload %s stays until it expires: %s", upload, in_full(error))


def _open(part: str, ledger: Ledger, store: Store, offload: Offload) -> ResumableWriter:
    try:
        found = ledger.read(part)
    except (NoSuchUpload, Gone):
        raise NotJoinable(f"there is no upload {part} to join") from None
    if found.record.name or found.record.joined or found.offset != found.record.length:
        raise NotJoinable(f"the upload {part} is not a part, or not complete")
    return offload(store.uploads.open, part)


def _bytes_of(writers: Sequence[ResumableWriter], offload: Offload) -> Iterator[bytes]:
    for writer in writers:
        for offset in range(0, writer.size, _BLOCK):
            count = min(_BLOCK, writer.size - offset)
            yield offload(writer.read_at, count, offset)
