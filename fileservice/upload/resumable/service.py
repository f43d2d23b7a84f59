"""ResumableUploads: receive files in several requests, each of which may be cut off.

The bytes and a record of each upload are in the store, and the offset is the number of those bytes.
What a process remembers beside them, how far it has scanned a file, only saves reading them again.

The methods raise the errors of the store (NoSuchUpload and Locked among them), those of `receive`,
and these:

    NoSuchUpload           also if the upload belongs to another caller
    UploadGone             the upload was rejected, or it has expired
    UploadInterrupted      another request got the lock while this one was silent; a kind of Locked
    OffsetMismatch         the bytes do not begin where the received bytes end
    LengthConflict         another length was declared before
    UploadIsFinal          the upload was concatenated from others and takes no bytes
    InvalidConcatenation   the uploads cannot be concatenated
    TooManyUnfinished, TooManyUnfinishedOfClient
                           no more uploads can be created now
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fileservice.storage import NoSuchUpload, StorageError
from fileservice.upload.admit import admit
from fileservice.upload.caller import UNRESTRICTED, Caller
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import OffsetMismatch, TooLarge, UploadGone, UploadIsFinal
from fileservice.upload.policy import UploadRequest
from fileservice.upload.resumable import concatenate
from fileservice.upload.resumable.cache import ScanCache
from fileservice.upload.resumable.limits import UploadLimits
from fileservice.upload.resumable.locks import BodyInterrupt, LockTiming, UploadLocks
from fileservice.upload.resumable.record import UploadKind, UploadRecord
from fileservice.upload.resumable.repository import UploadRepository
from fileservice.upload.resumable.session import AppendRequest, SessionContext, UploadSession
from fileservice.upload.resumable.state import UploadState
from fileservice.upload.resumable.status import UploadStatus
from fileservice.upload.resumable.unfinished import UnfinishedUploads

_log = logging.getLogger(__name__)


class ResumableUploads:
    """The resumable uploads of a store, as one process knows them.

    An upload is kept for `expiry` seconds after its last change.
    """

    def __init__(
        self, context: UploadContext, *, expiry: float, lock_timing: LockTiming | None = None
    ) -> None:
        self._context = context
        self._executor = context.executor
        self._repository = UploadRepository(context, expiry)
        timing = lock_timing or LockTiming()
        self._locks = UploadLocks(context.store, self._repository, context.executor, timing)
        self._scans = ScanCache(context.policy)
        self._unfinished_uploads = UnfinishedUploads(context.store)
        self._limits = UploadLimits(context, self._unfinished_uploads)
        self._creation_lock = threading.Lock()
        self._sessions = SessionContext(context, self._repository, self._scans, self._limits)

    def create(
        self,
        request: UploadRequest | None,
        length: int | None,
        protocol_metadata: Mapping[str, str],
        *,
        explicit_completion: bool = False,
        keep_published: bool = True,
        caller: Caller = UNRESTRICTED,
    ) -> UploadStatus:
        """Create an upload and return its status; without a `request` it is a partial upload.

        An upload is complete with its last byte, so an empty one is complete at once. With
        `explicit_completion`, it is complete after a final append. An upload that repeats a stored
        file is published at once. Without `keep_published`, for a client that will not ask for it,
        no record of it is stored, and its id is empty. The upload belongs to the `caller`, and its
        length is reserved of the caller's quota. Raise what `admit` and the caller's account raise,
        TooManyUnfinished or TooManyUnfinishedOfClient.
        """
        stored = replaced = None
        if request:
            admission = admit(request, self._context)
            stored, replaced = admission.repeated, admission.replaces
        else:
            caller.authorize(None)
        if not request and length is not None and length > self._context.policy.max_size:
            raise TooLarge(self._context.policy.max_size)
        record = UploadRecord(
            name=request.name if request else None,
            length=length,
            protocol_metadata=protocol_metadata,
            kind=UploadKind.REGULAR if request else UploadKind.PARTIAL,
            state=UploadState.PUBLISHED if stored else UploadState.RECEIVING,
            digests=request.digests if request else {},
            replaces=request.replaces if request else None,
            explicit_completion=explicit_completion,
            file=stored,
            client=caller.client,
            owner=caller.owner,
            expires=request.expires if request else None,
        )
        if stored:
            if not keep_published:
                status = UploadStatus("", record, stored.size, expires=0.0)
                return self._repository.modified_now(status, stored.size)
            return self.status(self._executor.run_io(self._limits.create_ended, record), caller)
        reservation = caller.account.reserve(
            length or 0,
            files=record.files,
            seconds=self._repository.reservation_seconds(0),
            replaces=replaced,
        )
        try:
            record = replace(record, reservation=reservation.name)
            # Each creation that waits for those of other processes holds a thread, so one waits
            # here.
            with self._creation_lock:
                upload = self._executor.run_io(self._limits.create, record)
        except BaseException:
            self._executor.run_io(reservation.release)
            raise
        return self.status(upload, caller)

    def status(
        self, upload: str, caller: Caller = UNRESTRICTED, *, preempt: bool = False
    ) -> UploadStatus:
        """Return the status of an upload. Raise NoSuchUpload, UploadGone or Locked.

        If its process died between the last byte and its publication, the upload is published now,
        so this may raise what `append` raises at the end of an upload. While an upload is being
        published, its status is Locked: clients take an offset at the end for a success. With
        `preempt`, a request that is adding to the upload is ended first.
        """
        status = self._repository.read(upload, caller.owner)
        if preempt and not status.has_ended:
            try:
                with self._locks.lock(upload, _do_nothing, preempt=True) as locked:
                    status = locked.status
            except NoSuchUpload:
                return self._status_at_end(upload)
        if not status.is_publishable:
            return status
        try:
            with self._locks.try_lock(upload) as locked:
                return UploadSession(self._sessions, locked, caller).finish()
        except NoSuchUpload:
            return self._status_at_end(upload)

    def append(self, upload: str, request: AppendRequest) -> UploadStatus:
        """Add the bytes of a request, publish the file if it is complete, and return the status.

        Bytes that arrived before an error are kept, unless the request is atomic.
        """
        status = self._repository.read(upload, request.caller.owner)
        status.record.authorize(request.caller)
        if status.record.kind is UploadKind.FINAL:
            raise UploadIsFinal
        if status.has_ended:
            return _accept_empty(request, status)
        interrupt = BodyInterrupt(request.interrupt)
        with ExitStack() as stack:
            try:
                locked = stack.enter_context(
                    self._locks.lock(upload, interrupt, preempt=request.preempt)
                )
            except NoSuchUpload:
                return _accept_empty(request, self._status_at_end(upload))
            session = UploadSession(self._sessions, locked, request.caller)
            if session.status.has_ended:  # by the request that had the lock before
                return _accept_empty(request, session.status)
            session.append(request, interrupt.translate(request.blocks))
            self._locks.disable_interrupt(upload)
            if request.final:
                session.complete()
            return session.finish()

    def concatenate(
        self, request: UploadRequest, parts: Sequence[str], protocol_metadata: Mapping[str, str]
    ) -> UploadStatus:
        """Publish partial uploads as one file; see `concatenate.concatenate`."""
        return concatenate.concatenate(request, parts, protocol_metadata, self._sessions)

    def cancel(self, upload: str, caller: Caller = UNRESTRICTED, *, preempt: bool = False) -> None:
        """End and remove an upload; a published file stays. Raise Locked or UploadGone."""
        status = self._repository.read(upload, caller.owner)
        with ExitStack() as stack:
            if not status.has_ended:
                try:
                    stack.enter_context(self._locks.lock(upload, _do_nothing, preempt=preempt))
                except NoSuchUpload:
                    self._status_at_end(upload)
            self.remove(status)

    def cancel_if_empty(self, upload: str, caller: Caller = UNRESTRICTED) -> None:
        """End an upload that was cut off before its first byte: its client loses nothing."""
        try:
            status = self._repository.read(upload, caller.owner)
            if not status.has_ended and status.offset == 0:
                self.cancel(upload, caller)
        except (UploadGone, StorageError) as error:
            _log.info("the upload %s stays until it expires: %s", upload, error)

    def remove(self, status: UploadStatus) -> None:
        """Remove an upload that no client knows of, without its lock."""
        self._scans.drop(status.upload)
        self._repository.remove(status)

    def sweep(self) -> int:
        """Remove all uploads that have expired; return how many were unfinished. Blocks."""
        return self._repository.sweep()

    def sweep_empty(self) -> None:
        """Remove only uploads that have expired without a byte, which is cheaper. Blocks."""
        self._repository.sweep_all(self._unfinished_uploads.empty_candidates())

    def _status_at_end(self, upload: str) -> UploadStatus:
        """Return the status of an upload that ended after its record was read.

        Raise NoSuchUpload if there is no record of its end.
        """
        status = self._repository.read(upload)
        if not status.has_ended:
            raise NoSuchUpload
        return status


def _accept_empty(request: AppendRequest, status: UploadStatus) -> UploadStatus:
    """Return the status of a published upload if the request adds nothing to it."""
    if (request.offset, request.content_length) != (status.offset, 0):
        raise OffsetMismatch(status.offset)
    return status


def _do_nothing() -> None:
    """Interrupt a request without a body, which ends by itself."""
