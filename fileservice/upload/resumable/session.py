"""UploadSession: what one request does to an upload while it has the lock.

The errors that may be raised are listed in `service`.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fileservice.upload.admit import find_replaceable
from fileservice.upload.caller import UNRESTRICTED, Caller
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import (
    REJECTIONS,
    LengthConflict,
    OffsetMismatch,
    TooLarge,
    UnacceptableContent,
)
from fileservice.upload.inspection.scan import Block, ContentScan
from fileservice.upload.pipeline import Pipeline
from fileservice.upload.publish import publish
from fileservice.upload.quota import QuotaReservation
from fileservice.upload.resumable.cache import ScanCache
from fileservice.upload.resumable.limits import UploadLimits
from fileservice.upload.resumable.record import UploadKind, UploadRecord
from fileservice.upload.resumable.repository import LockedUpload, UploadRepository
from fileservice.upload.resumable.state import UploadEvent, next_state
from fileservice.upload.resumable.status import UploadStatus

_MAX_CATCH_UP = 1 << 20
"""How many bytes from another process are scanned before more are received, so that a wrong type is
found early."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What every session works with."""

    upload: UploadContext
    repository: UploadRepository
    scans: ScanCache
    limits: UploadLimits


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """The bytes that one request adds to an upload."""

    offset: int
    """Where in the file they begin."""
    blocks: Iterable[Block]
    content_length: int | None
    """The number of bytes in `blocks`; None if the request does not declare it."""
    interrupt: Callable[[], None]
    """Makes `blocks` end; called in another thread when another request asks for the lock."""
    length: int | None = None
    """The number of bytes in the file, if the request declares it."""
    atomic: bool = False
    """Keep all of the bytes or, if `blocks` raises, none of them."""
    final: bool = False
    """The upload is complete with these bytes."""
    preempt: bool = False
    """Take the lock from another request even if that still receives bytes."""
    caller: Caller = UNRESTRICTED


class UploadSession:
    """Changes one upload; `status` is that of the upload at each moment of the session."""

    def __init__(self, context: SessionContext, locked: LockedUpload, caller: Caller) -> None:
        self._context = context.upload
        self._executor = context.upload.executor
        self._repository = context.repository
        self._scans = context.scans
        self._limits = context.limits
        self._writer, self.status = locked
        self._caller = caller
        self._scan: ContentScan | None = None
        self._reservation: QuotaReservation | None = None
        self._has_tried_sync = False
        """Once is enough: if it fails, the writer drops the bytes that another one would sync."""
        self._may_have_been_published = self.status.is_publishable
        """Whether somebody may have tried to publish the file before."""

    def append(self, request: AppendRequest, blocks: Iterable[Block]) -> None:
        """Add the bytes of a request; `blocks` are those of the request, or a view of them."""
        next_state(self.status.state, UploadEvent.APPEND)
        offset = request.offset
        if offset != self.status.offset:
            raise OffsetMismatch(self.status.offset)
        self._drop_bytes_after_offset()
        if request.length is not None:
            self._declare_length(request.length)
        length = self.status.record.length
        limit = self._context.policy.max_size if length is None else length
        if request.content_length is not None and offset + request.content_length > limit:
            raise TooLarge(limit)
        self._reserve_quota()
        if request.atomic:
            # Until all bytes have arrived and their checksum is verified, they do not count.
            self._save(replace(self.status.record, verified_size=offset))
        self._scan = self._begin_scan()
        self._receive(blocks, atomic=request.atomic)
        if request.atomic:
            self._save(replace(self.status.record, verified_size=None))
            self._keep_scan()  # not before: bytes that do not count may be replaced by others
        if self._writer.size > offset:  # an empty request does not defer the expiry
            status = replace(self.status, offset=self._writer.size)
            self.status = self._repository.modified_now(status, self._writer.size)

    def complete(self) -> None:
        """Declare that the file consists of the bytes that are stored now."""
        self._declare_length(self._writer.size)
        self._save(replace(self.status.record, explicit_completion=False))

    def finish(self) -> UploadStatus:
        """Publish the file if it is complete, and return the status of the upload."""
        if not self.status.is_publishable:
            return self.status
        try:
            scan = self._scan or self._take_scan()
            self._executor.run_io(scan.catch_up, self._writer, self._executor.run_cpu)
            request = self.status.record.request(self._caller)
            request = replace(request, upload=self.status.upload)
            reservation = self._reserve_quota()
            result = publish(request, self._context, self._writer, scan, reservation)
        except REJECTIONS as error:
            self._reject(error)
            raise
        finally:
            self._scans.drop(self.status.upload)
        self.status = self.status.publish(result.file)
        has_ended = self._repository.end_published(self._writer, self.status)
        # Afterwards, and not if that failed, so that an upload that is published again is counted
        # once.
        if result.is_new:
            if has_ended and reservation.owner:
                self._executor.run_io(reservation.commit, result.file.size)
        elif reservation.name:
            self._executor.run_io(reservation.release)
        return self.status

    def _drop_bytes_after_offset(self) -> None:
        """Drop bytes whose checksum was never verified, and those that could not be synced."""
        if self._writer.size > self.status.offset:
            self._truncate(self.status.offset)
        if self._writer.size != self.status.offset:  # the disk has failed meanwhile
            raise OffsetMismatch(self._writer.size)
        if self.status.record.verified_size is not None:
            self._save(replace(self.status.record, verified_size=None))

    def _declare_length(self, length: int) -> None:
        """Record the length of the file if it is unknown; else it must be the same."""
        record = self.status.record
        if length == record.length:
            return
        if record.length is not None:
            raise LengthConflict(record.length)
        if length > self._context.policy.max_size:
            raise TooLarge(self._context.policy.max_size)
        if length < self._writer.size:
            raise OffsetMismatch(self._writer.size)
        reservation = self._reserve_quota()
        if reservation.name:
            self._executor.run_io(reservation.hold, length)
        self._executor.run_io(
            self._limits.reserve, self.status.upload, record, self._writer, length
        )
        self._save(replace(record, length=length), length)

    def _reserve_quota(self) -> QuotaReservation:
        """Resume what is reserved of the owner's quota, or reserve it now if nothing is."""
        record = self.status.record
        if not self._reservation:
            replaced = None
            if record.replaces is not None:
                request = record.request(self._caller)
                replaced = self._executor.run_io(find_replaceable, request, self._context.store)
            self._reservation = self._caller.account.reserve(
                self._writer.size if record.length is None else record.length,
                name=record.reservation,
                files=record.files,
                seconds=self._repository.reservation_seconds(1),
                replaces=replaced,
            )
            name = self._reservation.name
            if name and name != record.reservation:
                self._save(replace(record, reservation=name))
        return self._reservation

    def _save(self, record: UploadRecord, length: int | None = None) -> None:
        """Replace the record, and reserve space for `length` bytes if that is given."""
        self._repository.save(self._writer, record, length)
        status = replace(self.status, record=record)
        self.status = self._repository.modified_now(status, self._writer.size)

    def _reject(self, error: Exception) -> None:
        self.status = self.status.reject(str(error))
        self._repository.end(
            self._writer,
            self.status,
            may_have_been_published=self._may_have_been_published,
        )

    def _receive(self, blocks: Iterable[Block], *, atomic: bool) -> None:
        offset = self._writer.size
        pipeline = Pipeline(
            self._context,
            self._writer,
            self._scan,
            size=offset,
            length=self.status.record.length,
            reservation=self._reserve_quota(),
            stages=self._caller.stages,
        )
        try:
            pipeline.write_all(blocks, self._sync)
        except UnacceptableContent as error:
            self._scan = None  # it has not seen all of the block
            if atomic:
                self._verify_rest(blocks, offset)
            self._reject(error)
            raise
        except BaseException:
            if atomic:
                self._scan = None  # it has seen bytes that are dropped
                self._truncate(offset)
            raise
        finally:
            if not self._has_tried_sync:
                self._executor.run_io(self._sync)
            if not atomic:
                self._keep_scan()

    def _sync(self) -> None:
        """Let the bytes of this request survive a power failure. Blocks."""
        self._has_tried_sync = True
        began = time.perf_counter()
        try:
            self._writer.sync()
        except BaseException:
            self._scan = None  # it has seen bytes that may be dropped
            raise
        self._caller.stages.add("sync", time.perf_counter() - began)

    def _verify_rest(self, blocks: Iterable[Block], offset: int) -> None:
        """Receive the rest of `blocks`, which raise if their checksum is wrong.

        Then the bytes were damaged on the way, so they do not show that the type is wrong.
        """
        try:
            for _ in blocks:
                pass
        except BaseException:
            self._truncate(offset)
            raise

    def _truncate(self, size: int) -> None:
        """Drop the bytes after `size`, and their space if it is unknown whether more follow."""
        self._executor.run_io(self._writer.truncate, size)
        if self.status.record.length is None:
            self._executor.run_io(self._context.store.release_unused_space, self._writer)

    def _begin_scan(self) -> ContentScan | None:
        """Return the scan of the bytes so far; None for a partial upload, which has no type."""
        if self.status.record.kind is UploadKind.PARTIAL:
            return None
        scan = self._take_scan()
        if 0 < self._writer.size - scan.size <= _MAX_CATCH_UP:
            try:
                self._executor.run_io(scan.catch_up, self._writer, self._executor.run_cpu)
            except UnacceptableContent as error:
                self._reject(error)
                raise
        return scan

    def _take_scan(self) -> ContentScan:
        return self._scans.take(self.status.upload, self.status.record, self._writer.size)

    def _keep_scan(self) -> None:
        scan = self._scan
        if scan and not scan.has_failed and scan.size <= self._writer.size:
            self._scans.put(self.status.upload, scan)
