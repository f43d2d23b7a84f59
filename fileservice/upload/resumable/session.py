"""Turn: what the one writer of an upload does to it in one request.

What may be raised is named in `resume`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fileservice.executor import Executor
from fileservice.storage import NameTaken, ResumableWriter, Store
from fileservice.upload.errors import (
    ContentMismatch,
    DigestMismatch,
    LengthConflict,
    OffsetMismatch,
    TooLarge,
    UploadRejected,
)
from fileservice.upload.inspection.scan import Block, ContentScan
from fileservice.upload.pipeline import Pipeline
from fileservice.upload.policy import UploadPolicy
from fileservice.upload.publish import publish
from fileservice.upload.resumable.cache import ScanCache
from fileservice.upload.resumable.limits import UploadLimits
from fileservice.upload.resumable.repository import Status, UploadRepository

_WORTH_READING = 1 << 20
"""So many bytes that another process took in are examined at once, for a wrong type to show."""
REFUSALS = (UploadRejected, ContentMismatch, DigestMismatch, NameTaken)
"""What ends an upload whose bytes are all there."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What every turn needs."""

    store: Store
    policy: UploadPolicy
    executor: Executor
    repository: UploadRepository
    scans: ScanCache
    limits: UploadLimits


class UploadSession:
    """Of the one who has the writer; `found` is how the upload stands at each moment of it."""

    def __init__(self, context: SessionContext, upload: str, writer: ResumableWriter) -> None:
        self._store = context.store
        self._policy = context.policy
        self._executor = context.executor
        self._repository = context.repository
        self._scans = context.scans
        self._limits = context.limits
        self._writer = writer
        self._scan: ContentScan | None = None
        self.found: Status = self._repository.read(upload)

    def append(
        self,
        offset: int,
        blocks: Iterable[Block],
        *,
        content_length: int | None,
        length: int | None,
        atomic: bool,
    ) -> None:
        """Take in blocks from `offset` on; see `Resumption.append`."""
        if offset != self.found.offset:
            raise OffsetMismatch(self.found.offset)
        self._drop_what_does_not_count()
        if length is not None:
            self._declare(length)
        known = self.found.record.length
        limit = self._policy.max_size if known is None else known
        if content_length is not None and offset + content_length > limit:
            raise TooLarge(limit)
        if atomic:
            # Until all of them are there and proved, those after `offset` do not count.
            self._repository.save(self._writer, replace(self.found.record, verified_size=offset))
        self._scan = self._recalled()
        self._take_in(blocks, known, atomic=atomic)
        self.found = self._repository.advanced(self.found, self._writer.size)
        if atomic:
            self._repository.save(self._writer, self.found.record)
            self._remember()  # not before: bytes that do not count may be replaced by others
        if self._writer.size == offset:  # nothing was added, which puts no expiry off
            self.found = self._repository.read(self.found.upload)

    def _drop_what_does_not_count(self) -> None:
        """Remove bytes whose checksum never came in, and those that could not be synced."""
        if self._writer.size > self.found.offset:
            self._take_back(self.found.offset)
        if self._writer.size != self.found.offset:  # the disk has failed meanwhile
            raise OffsetMismatch(self._writer.size)
        if self.found.record.verified_size is not None:
            self._record(verified_size=None)

    def _declare(self, length: int) -> None:
        """The file has this length, if it was left open so far."""
        known = self.found.record.length
        if length == known:
            return
        if known is not None:
            raise LengthConflict(known)
        if length > self._policy.max_size:
            raise TooLarge(self._policy.max_size)
        if length < self.found.offset:
            raise OffsetMismatch(self.found.offset)
        upload, record = self.found.upload, self.found.record
        self._executor.run_io(self._limits.extend, upload, record, self._writer, length)
        self._record(length=length)

    def close(self) -> None:
        """The client says that what is there now is the file."""
        self._declare(self._writer.size)
        self._record(explicit_completion=False)

    def finish(self) -> Status:
        """Publish the file if all of it is there; how the upload stands then."""
        if not self.found.ready:
            return self.found
        record, upload = self.found.record, self.found.upload
        try:
            scan = self._scan or self._recall()
            self._executor.run_io(scan.catch_up, self._writer, self._executor.run_cpu)
            result = self._executor.run_io(
                publish,
                record.request(),
                self._policy,
                self._store,
                self._writer,
                scan,
                self._executor.run_cpu,
            )
        except REFUSALS as refusal:
            self._repository.refuse(self._writer, self.found, refusal)
            raise
        finally:
            self._scans.forget(upload)
        record = replace(record, finished=result.file)
        # If that fails, who asks for the upload later finds its bytes complete, publishes them once
        # more, to no effect, and ends the record then.
        self._repository.end_published(upload, self._writer, record)
        return replace(self.found, record=record)

    def _record(self, **changes: object) -> None:
        record = replace(self.found.record, **changes)  # type: ignore[arg-type]
        self._repository.save(self._writer, record, record.length)
        self.found = replace(self.found, record=record)

    def _take_in(self, blocks: Iterable[Block], length: int | None, *, atomic: bool) -> None:
        writer, offset = self._writer, self._writer.size
        stream = Pipeline(
            self._policy,
            self._store,
            writer,
            self._scan,
            self._executor,
            size=offset,
            length=length,
        )
        try:
            stream.pump(blocks)
        except ContentMismatch as refusal:
            self._scan = None  # it did not see all of the block
            if atomic:
                self._prove(blocks, offset)
            self._repository.refuse(writer, self.found, refusal)
            raise
        except BaseException:
            if atomic:
                self._scan = None  # it has seen what goes
                self._take_back(offset)
            raise
        finally:
            self._executor.run_io(writer.sync)
            if not atomic:
                self._remember()

    def _remember(self) -> None:
        scan = self._scan
        if scan and scan.size <= self._writer.size:
            self._scans.remember(self.found.upload, scan)

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
        self._executor.run_io(self._writer.truncate, offset)
        if self.found.record.length is None:
            self._executor.run_io(self._store.release_unused_space, self._writer)

    def _recalled(self) -> ContentScan | None:
        """What is known of the bytes so far; None for a part, which is not examined."""
        if not self.found.record.name:
            return None
        scan = self._recall()
        if self._writer.size - scan.size <= _WORTH_READING:
            try:
                self._executor.run_io(scan.catch_up, self._writer, self._executor.run_cpu)
            except ContentMismatch as refusal:
                self._repository.refuse(self._writer, self.found, refusal)
                raise
        return scan

    def _recall(self) -> ContentScan:
        found = self.found
        return self._scans.recall(found.upload, found.record, self._writer.size)
