"""Resume: the way in for files that come in several requests, which may be cut and go on later.

The bytes and a record of each upload lie in the store, and the offset is what lies there. What a
process remembers beside, how far a file was examined, only saves it reading the bytes again.

What may be raised, besides the errors of the store (NoSuchUpload and Locked among them) and those
of `receive`:

    Gone             the upload was refused, or it has expired
    OffsetMismatch   the bytes do not begin where the upload stands
    LengthConflict   the length is not the one declared before
    Sealed           it was joined from others and takes no bytes
    NotJoinable      the parts cannot be joined
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fileservice.storage import Locked, NameTaken, ResumableWriter, StorageFull, Store
from fileservice.upload import joining
from fileservice.upload.admission import Offer, Refused, Rules, TooLarge, admit, leave_free
from fileservice.upload.examination import Block, Examination
from fileservice.upload.examinations import Examinations
from fileservice.upload.inspection import ContentMismatch
from fileservice.upload.joining import NotJoinable
from fileservice.upload.ledger import Gone, Ledger, Status
from fileservice.upload.offloading import Offload
from fileservice.upload.publish import DigestMismatch, publish
from fileservice.upload.records import Record
from fileservice.upload.stream import Stream
from fileservice.upload.takeover import Takeover

__all__ = [
    "REFUSALS",
    "Gone",
    "LengthConflict",
    "NotJoinable",
    "OffsetMismatch",
    "Resumption",
    "Sealed",
    "Status",
]

_WORTH_READING = 1 << 20
"""So many bytes that another process took in are examined at once, for a wrong type to show."""
REFUSALS = (Refused, ContentMismatch, DigestMismatch, NameTaken)
"""What ends an upload whose bytes are all there."""


class OffsetMismatch(Exception):
    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload stands at byte {offset}; send what follows from there")
        self.offset = offset


class LengthConflict(Exception):
    def __init__(self, length: int) -> None:
        super().__init__(f"the upload was declared to have {length} bytes; that cannot be changed")
        self.length = length


class Sealed(Exception):
    def __init__(self) -> None:
        super().__init__("this upload was joined from others; nothing can be added to it")


class Resumption:
    """All uploads that can be resumed, as one process sees them.

    `expiry` is for how long, in seconds, an upload that nobody touches is kept.
    """

    def __init__(self, store: Store, rules: Rules, offload: Offload, expiry: float) -> None:
        self._store = store
        self._rules = rules
        self._offload = offload
        self._ledger = Ledger(store.uploads, offload, expiry)
        self._takeover = Takeover(store.uploads, offload)
        self._examinations = Examinations(rules)

    def create(
        self,
        offer: Offer | None,
        length: int | None,
        labels: Mapping[str, str],
        *,
        awaits_word: bool = False,
    ) -> Status:
        """Begin an upload; without an `offer` it is a part that others will be joined with.

        It is complete with its last byte, an empty one at once, or else, if it `awaits_word`, with
        blocks that are called the last. Raises what admission raises, and StorageFull.
        """
        stored = None
        if offer:
            _, stored = admit(offer, self._rules, self._store)
        elif length is not None and length > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        record = Record(
            name=offer.name if offer else None,
            length=length,
            labels=labels,
            digests=offer.digests if offer else {},
            finished=stored,
            awaits_word=awaits_word,
        )
        upload = self._offload(self._begin, record)
        return self.status(upload)

    def status(self, upload: str) -> Status:
        """How it stands. Raises NoSuchUpload, Gone.

        An upload whose last byte is there but which was not published, since its process died just
        then, is published now; so this may raise what `append` does at the end of an upload.
        """
        found = self._ledger.read(upload)
        if not found.ready:
            return found
        try:
            with self._takeover.free_writer(upload) as writer:
                found = self._ledger.read(upload)
                return self._finish(found, writer, None) if found.ready else found
        except Locked:
            return found  # it is being published

    def settle(self, upload: str) -> Status:
        """How it stands once no request is adding to it any more: one that is, is ended."""
        found = self._ledger.read(upload)
        if not found.record.open:
            return found
        with self._takeover.writer(upload, _nothing, at_once=True):
            pass
        return self.status(upload)

    def append(
        self,
        upload: str,
        offset: int,
        blocks: Iterable[Block],
        *,
        coming: int | None,
        interrupt: Callable[[], None],
        length: int | None = None,
        whole: bool = False,
        last: bool = False,
        at_once: bool = False,
    ) -> Status:
        """Add `blocks`, of which `coming` bytes are announced, from `offset` on.

        What arrived before an error stays, unless the blocks count only as a `whole`. `length`
        says how long the file is, if that was left open; so does the end of blocks that are the
        `last`. `interrupt` has to make `blocks` end: another request takes over. `at_once`, this
        one does, from any other.
        """
        found = self._ledger.read(upload)
        if found.record.joined:
            raise Sealed
        if found.record.finished:
            if (offset, coming) == (found.offset, 0):
                return found
            raise OffsetMismatch(found.offset)
        with self._takeover.writer(upload, interrupt, at_once=at_once) as writer:
            found = self._truth(upload, writer)
            if offset != found.offset:
                raise OffsetMismatch(found.offset)
            found = self._declare(found, writer, length)
            limit = self._limit(found.record)
            if coming is not None and offset + coming > limit:
                raise TooLarge(limit)
            if whole:
                self._ledger.save(writer, replace(found.record, proved=offset))
            examination = self._take_in(found, writer, blocks, limit, whole=whole)
            self._takeover.received(upload)
            found = self._ledger.advanced(found, writer.size)
            if last:
                found = self._declare(found, writer, writer.size)
                found = replace(found, record=replace(found.record, awaits_word=False))
            if whole or last:
                self._ledger.save(writer, found.record)
            return self._finish(found, writer, examination) if found.ready else found

    def join(self, offer: Offer, parts: Sequence[str], labels: Mapping[str, str]) -> Status:
        """Publish complete parts as one file; see `joining`."""
        return joining.join(
            offer,
            parts,
            labels,
            ledger=self._ledger,
            rules=self._rules,
            store=self._store,
            offload=self._offload,
        )

    def cancel(self, upload: str, *, at_once: bool = False) -> None:
        """End an upload and free what it holds; a published file stays. Raises Locked, Gone."""
        found = self._ledger.read(upload)
        with ExitStack() as stack:
            if not found.record.finished:
                stack.enter_context(self._takeover.writer(upload, _nothing, at_once=at_once))
            self.discard(upload)

    def discard(self, upload: str) -> None:
        """Remove all of an upload of which nobody was told, and its record."""
        self._examinations.forget(upload)
        self._ledger.remove(upload)

    def sweep(self) -> None:
        """Remove what nobody has touched for longer than the expiry. Blocks."""
        self._ledger.sweep()

    def _begin(self, record: Record) -> str:
        upload = self._store.uploads.create(record.to_bytes(), record.length)
        try:
            leave_free(self._store, self._rules, 0)  # now that the room for all of it is taken
        except StorageFull:
            self._store.uploads.remove(upload)
            raise
        return upload

    def _truth(self, upload: str, writer: ResumableWriter) -> Status:
        """How it stands, for the one who may write: bytes that were never proved are dropped."""
        found = self._ledger.read(upload)
        if found.record.proved is not None:
            self._offload(writer.truncate, found.offset)
            found = replace(found, record=replace(found.record, proved=None))
            self._ledger.save(writer, found.record)
        return found

    def _declare(self, found: Status, writer: ResumableWriter, length: int | None) -> Status:
        known = found.record.length
        if length is None or length == known:
            return found
        if known is not None:
            raise LengthConflict(known)
        if length > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        if length < found.offset:
            raise OffsetMismatch(found.offset)
        leave_free(self._store, self._rules, length - found.offset)
        record = replace(found.record, length=length)
        self._ledger.save(writer, record, length)
        return replace(found, record=record)

    def _limit(self, record: Record) -> int:
        return self._rules.max_size if record.length is None else record.length

    def _take_in(
        self,
        found: Status,
        writer: ResumableWriter,
        blocks: Iterable[Block],
        limit: int,
        *,
        whole: bool,
    ) -> Examination | None:
        upload, offset = found.upload, writer.size
        examination = self._recall(found, writer)
        stream = Stream(
            self._rules, self._store, writer, examination, self._offload, size=offset, limit=limit
        )
        try:
            stream.pump(blocks)
        except ContentMismatch as refusal:
            examination = None  # it did not see all of the block
            if whole:
                self._prove(blocks, writer, offset)
            self._ledger.refuse(writer, found, refusal)
            raise
        except BaseException as error:
            if whole or isinstance(error, TooLarge):
                examination = None  # it has seen what goes, or what another has replaced by now
                self._offload(writer.truncate, offset)
            raise
        finally:
            self._offload(writer.sync)
            if examination and examination.size <= writer.size:
                self._examinations.remember(upload, examination)
        return examination

    def _prove(self, blocks: Iterable[Block], writer: ResumableWriter, offset: int) -> None:
        """Take the rest of `blocks`: if their checksum does not hold, that is what is wrong."""
        try:
            for _ in blocks:
                pass
        except BaseException:
            self._offload(writer.truncate, offset)
            raise

    def _recall(self, found: Status, writer: ResumableWriter) -> Examination | None:
        if not found.record.name:
            return None
        examination = self._examinations.recall(found.upload, found.record, writer.size)
        if writer.size - examination.size <= _WORTH_READING:
            try:
                self._offload(examination.catch_up, writer, self._offload.compute)
            except ContentMismatch as refusal:
                self._ledger.refuse(writer, found, refusal)
                raise
        return examination

    def _finish(
        self, found: Status, writer: ResumableWriter, examination: Examination | None
    ) -> Status:
        record, upload = found.record, found.upload
        try:
            examination = examination or self._examinations.recall(upload, record, writer.size)
            self._offload(examination.catch_up, writer, self._offload.compute)
            receipt = self._offload(
                publish,
                record.offer(),
                self._rules,
                self._store,
                writer,
                examination,
                self._offload.compute,
            )
        except REFUSALS as refusal:
            self._ledger.refuse(writer, found, refusal)
            raise
        finally:
            self._examinations.forget(upload)
        record = replace(record, finished=receipt.file)
        self._ledger.end(writer, record)
        return replace(found, record=record)


def _nothing() -> None:
    """For those who do not read a body, and end by themselves."""
