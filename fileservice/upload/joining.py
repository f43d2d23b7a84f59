"""Joining: complete parts, each uploaded for itself, become one file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from fileservice.storage import NoSuchUpload, ResumableWriter, StorageError, Store
from fileservice.upload import Offer, Offload, Rules, receive
from fileservice.upload.ledger import Gone, Ledger, Status
from fileservice.upload.records import Record

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

    They take the same way in as any file, and are gone afterwards. Raises NotJoinable, Locked, and
    what `receive` raises.
    """
    with ExitStack() as stack:
        writers: dict[str, ResumableWriter] = {}
        for part in dict.fromkeys(parts):
            writers[part] = _open(part, ledger, store, offload)
            stack.callback(offload, writers[part].close)
        ordered = [writers[part] for part in parts]
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
        except BaseException:
            ledger.remove(upload)
            raise
        ledger.end(joined, replace(record, finished=receipt.file))
        for part in writers:
            with suppress(StorageError):  # what is left of them expires
                ledger.remove(part)
    return ledger.read(upload)


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
