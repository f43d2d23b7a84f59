"""Turn: what the one writer of an upload does to it in one request.

What may be raised is named in `resume`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fileservice.storage import NameTaken, ResumableWriter, Store
from fileservice.upload.admission import Refused, Rules, TooLarge
from fileservice.upload.bounds import Bounds
from fileservice.upload.examination import Block, Examination
from fileservice.upload.examinations import Examinations
from fileservice.upload.inspection import ContentMismatch
from fileservice.upload.ledger import Ledger, Status
from fileservice.upload.offloading import Offload
from fileservice.upload.publish import DigestMismatch, publish
from fileservice.upload.stream import Stream

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


@dataclass(frozen=True, slots=True)
class Means:
    """What every turn needs."""

    store: Store
    rules: Rules
    offload: Offload
    ledger: Ledger
    examinations: Examinations
    bounds: Bounds


class Turn:
    """Of the one who has the writer; `found` is how the upload stands at each moment of it."""

    def __init__(self, means: Means, upload: str, writer: ResumableWriter) -> None:
        self._store = means.store
        self._rules = means.rules
        self._offload = means.offload
        self._ledger = means.ledger
        self._examinations = means.examinations
        self._bounds = means.bounds
        self._writer = writer
        self._examination: Examination | None = None
        self.found: Status = self._ledger.read(upload)

    def append(
        self,
        offset: int,
        blocks: Iterable[Block],
        *,
        coming: int | None,
        length: int | None,
        whole: bool,
    ) -> None:
        """Take in blocks from `offset` on; see `Resumption.append`."""
        if offset != self.found.offset:
            raise OffsetMismatch(self.found.offset)
        self._drop_what_does_not_count()
        if length is not None:
            self._declare(length)
        known = self.found.record.length
        limit = self._rules.max_size if known is None else known
        if coming is not None and offset + coming > limit:
            raise TooLarge(limit)
        if whole:
            # Until all of them are there and proved, those after `offset` do not count.
            self._ledger.save(self._writer, replace(self.found.record, proved=offset))
        self._examination = self._recalled()
        self._take_in(blocks, known, whole=whole)
        self.found = self._ledger.advanced(self.found, self._writer.size)
        if whole:
            self._ledger.save(self._writer, self.found.record)
            self._remember()  # not before: bytes that do not count may be replaced by others
        if self._writer.size == offset:  # nothing was added, which puts no expiry off
            self.found = self._ledger.read(self.found.upload)

    def _drop_what_does_not_count(self) -> None:
        """Remove bytes whose checksum never came in, and those that could not be synced."""
        if self._writer.size > self.found.offset:
            self._take_back(self.found.offset)
        if self._writer.size != self.found.offset:  # the disk has failed meanwhile
            raise OffsetMismatch(self._writer.size)
        if self.found.record.proved is not None:
            self._record(proved=None)

    def _declare(self, length: int) -> None:
        """The file has this length, if it was left open so far."""
        known = self.found.record.length
        if length == known:
            return
        if known is not None:
            raise LengthConflict(known)
        if length > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        if length < self.found.offset:
            raise OffsetMismatch(self.found.offset)
        upload, record = self.found.upload, self.found.record
        self._offload(self._bounds.extend, upload, record, self._writer, length)
        self._record(length=length)

    def close(self) -> None:
        """The client says that what is there now is the file."""
        self._declare(self._writer.size)
        self._record(awaits_word=False)

    def finish(self) -> Status:
        """Publish the file if all of it is there; how the upload stands then."""
        if not self.found.ready:
            return self.found
        record, upload = self.found.record, self.found.upload
        try:
            examination = self._examination or self._recall()
            self._offload(examination.catch_up, self._writer, self._offload.compute)
            receipt = self._offload(
                publish,
                record.offer(),
                self._rules,
                self._store,
                self._writer,
                examination,
                self._offload.compute,
            )
        except REFUSALS as refusal:
            self._ledger.refuse(self._writer, self.found, refusal)
            raise
        finally:
            self._examinations.forget(upload)
        record = replace(record, finished=receipt.file)
        # If that fails, who asks for the upload later finds its bytes complete, publishes them once
        # more, to no effect, and ends the record then.
        self._ledger.end_published(upload, self._writer, record)
        return replace(self.found, record=record)

    def _record(self, **changes: object) -> None:
        record = replace(self.found.record, **changes)  # type: ignore[arg-type]
        self._ledger.save(self._writer, record, record.length)
        self.found = replace(self.found, record=record)

    def _take_in(self, blocks: Iterable[Block], length: int | None, *, whole: bool) -> None:
        writer, offset = self._writer, self._writer.size
        stream = Stream(
            self._rules,
            self._store,
            writer,
            self._examination,
            self._offload,
            size=offset,
            length=length,
        )
        try:
            stream.pump(blocks)
        except ContentMismatch as refusal:
            self._examination = None  # it did not see all of the block
            if whole:
                self._prove(blocks, offset)
            self._ledger.refuse(writer, self.found, refusal)
            raise
        except BaseException:
            if whole:
                self._examination = None  # it has seen what goes
                self._take_back(offset)
            raise
        finally:
            self._offload(writer.sync)
            if not whole:
                self._remember()

    def _remember(self) -> None:
        examination = self._examination
        if examination and examination.size <= self._writer.size:
            self._examinations.remember(self.found.upload, examination)

    def _prove(self, blocks: Iterable[Block], offset: int) -> None:
        """Take the rest of `blocks`: if their checksum does not hold, that is what is wrong."""
        try:
            for _ in blocks:
                pass
        except BaseException:
            self._take_back(offset)
            raise

    def _take_back(self, offset: int) -> None:
        """Drop the bytes from `offset` on, and their room if nobody knows whether more come."""
        self._offload(self._writer.truncate, offset)
        if self.found.record.length is None:
            self._offload(self._store.give_room_back, self._writer)

    def _recalled(self) -> Examination | None:
        """What is known of the bytes so far; None for a part, which is not examined."""
        if not self.found.record.name:
            return None
        examination = self._recall()
        if self._writer.size - examination.size <= _WORTH_READING:
            try:
                self._offload(examination.catch_up, self._writer, self._offload.compute)
            except ContentMismatch as refusal:
                self._ledger.refuse(self._writer, self.found, refusal)
                raise
        return examination

    def _recall(self) -> Examination:
        found = self.found
        return self._examinations.recall(found.upload, found.record, self._writer.size)
