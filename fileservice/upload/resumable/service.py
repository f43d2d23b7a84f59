"""Resume: the way in for files that come in several requests, which may be cut and go on later.

The bytes and a record of each upload lie in the store, and the offset is what lies there. What a
process remembers beside, how far a file was examined, only saves it reading the bytes again.

What may be raised, besides the errors of the store (NoSuchUpload and Locked among them) and those
of `receive`:

    Gone             the upload was refused, or it has expired
    TakenOver        another request went on with it while this one was silent; a kind of Locked
    OffsetMismatch   the bytes do not begin where the upload stands
    LengthConflict   the length is not the one declared before
    Sealed           it was joined from others and takes no bytes
    NotJoinable      the parts cannot be joined
    TooManyUnfinished, TooManyOfClient
                     no more uploads can be begun just now
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from fileservice.executor import Executor
from fileservice.storage import NoSuchUpload, StorageError, Store
from fileservice.upload.errors import (
    InvalidConcatenation,
    LengthConflict,
    OffsetMismatch,
    Sealed,
    TakenOver,
    TooLarge,
    TooManyUnfinished,
    TooManyUnfinishedOfClient,
    UploadGone,
)
from fileservice.upload.inspection.scan import Block
from fileservice.upload.policy import UploadPolicy, UploadRequest, admit
from fileservice.upload.resumable import concatenate
from fileservice.upload.resumable.cache import ScanCache
from fileservice.upload.resumable.limits import UploadLimits
from fileservice.upload.resumable.locks import BodyInterrupt, UploadLocks
from fileservice.upload.resumable.record import Record
from fileservice.upload.resumable.repository import Status, UploadRepository
from fileservice.upload.resumable.session import REFUSALS, SessionContext, UploadSession
from fileservice.upload.resumable.unfinished import UnfinishedUploads

_log = logging.getLogger(__name__)

__all__ = [
    "REFUSALS",
    "InvalidConcatenation",
    "LengthConflict",
    "OffsetMismatch",
    "ResumableUploads",
    "Sealed",
    "Status",
    "TakenOver",
    "TooManyUnfinished",
    "TooManyUnfinishedOfClient",
    "UploadGone",
]


class ResumableUploads:
    """All uploads that can be resumed, as one process sees them.

    `expiry` is for how long, in seconds, an upload that nobody touches is kept.
    """

    def __init__(
        self, store: Store, policy: UploadPolicy, executor: Executor, expiry: float
    ) -> None:
        self._store = store
        self._policy = policy
        self._executor = executor
        self._repository = UploadRepository(store, executor, expiry)
        self._locks = UploadLocks(store, executor)
        self._scans = ScanCache(policy)
        self._unfinished_uploads = UnfinishedUploads(store)
        self._limits = UploadLimits(store, policy, self._unfinished_uploads)
        self._creating = threading.Lock()
        self._context = SessionContext(
            store, policy, executor, self._repository, self._scans, self._limits
        )

    def create(
        self,
        request: UploadRequest | None,
        length: int | None,
        protocol_metadata: Mapping[str, str],
        *,
        explicit_completion: bool = False,
        keep_finished: bool = True,
        client: str = "",
    ) -> Status:
        """Begin an upload; without an `offer` it is a part that others will be joined with.

        It is complete with its last byte, an empty one at once, or else, if it `awaits_word`, with
        blocks that are called the last. One that repeats a stored file ends at once: its record is
        kept, or, for a client that is not told of it, nothing without `keep_finished`; then it
        has no id. `client` is the address of who begins it. Raises what admission raises,
        StorageFull, TooManyUnfinished and TooManyOfClient.
        """
        stored = None
        if request:
            _, stored = admit(request, self._policy, self._store, self._executor)
        elif length is not None and length > self._policy.max_size:
            raise TooLarge(self._policy.max_size)
        record = Record(
            name=request.name if request else None,
            length=length,
            protocol_metadata=protocol_metadata,
            digests=request.digests if request else {},
            finished=stored,
            explicit_completion=explicit_completion,
            client=client,
        )
        if stored:
            if not keep_finished:
                return Status("", record, stored.size, self._repository.expires_from_now())
            return self.status(self._executor.run_io(self._limits.keep_ended, record))
        with self._creating:  # here: those who wait for the other processes take a thread each
            upload = self._executor.run_io(self._limits.create, record)
        return self.status(upload)

    def status(self, upload: str) -> Status:
        """How it stands. Raises NoSuchUpload, Gone; and Locked while it is being published.

        All bytes being there is no success yet, and clients take it for one.

        An upload whose last byte is there but which was not published, since its process died just
        then, is published now; so this may raise what `append` does at the end of an upload.
        """
        found = self._repository.read(upload)
        if not found.ready:
            return found
        try:
            with self._locks.free_writer(upload) as writer:
                return UploadSession(self._context, upload, writer).finish()
        except NoSuchUpload:
            return self._ended(upload)

    def settle(self, upload: str) -> Status:
        """How it stands once no request is adding to it any more: one that is, is ended."""
        found = self._repository.read(upload)
        if not found.record.open:
            return found
        try:
            with self._locks.writer(upload, _nothing, preempt=True):
                pass
        except NoSuchUpload:
            return self._ended(upload)
        return self.status(upload)

    def _ended(self, upload: str) -> Status:
        """How an upload ended of which a record was found, but no bytes any more.

        Raises NoSuchUpload where nothing tells.
        """
        found = self._repository.read(upload)
        if found.record.open:
            raise NoSuchUpload
        return found

    def append(
        self,
        upload: str,
        offset: int,
        blocks: Iterable[Block],
        *,
        content_length: int | None,
        interrupt: Callable[[], None],
        length: int | None = None,
        atomic: bool = False,
        final: bool = False,
        preempt: bool = False,
    ) -> Status:
        """Add `blocks`, of which `coming` bytes are announced, from `offset` on.

        What arrived before an error stays, unless the blocks count only as a `whole`. `length`
        says how long the file is, if that was left open; so does the end of blocks that are the
        `last`. `interrupt` has to make `blocks` end: another request takes over. `at_once`, this
        one does, from any other.
        """
        found = self._repository.read(upload)
        if found.record.is_final:
            raise Sealed
        if found.record.finished:
            return _finished(found, offset, content_length)
        interruption = BodyInterrupt(interrupt)
        with ExitStack() as stack:
            try:
                writer = stack.enter_context(
                    self._locks.writer(upload, interruption, preempt=preempt)
                )
            except NoSuchUpload:
                return _finished(self._ended(upload), offset, content_length)
            session = UploadSession(self._context, upload, writer)
            if session.found.record.finished:  # by the request that had the writer before
                return _finished(session.found, offset, content_length)
            blocks = interruption.translate(blocks)
            session.append(
                offset, blocks, content_length=content_length, length=length, atomic=atomic
            )
            self._locks.received(upload)
            if final:
                session.close()
            return session.finish()

    def concatenate(
        self, request: UploadRequest, parts: Sequence[str], protocol_metadata: Mapping[str, str]
    ) -> Status:
        """Publish complete parts as one file; see `joining`."""
        return concatenate.concatenate(
            request,
            parts,
            protocol_metadata,
            repository=self._repository,
            policy=self._policy,
            store=self._store,
            executor=self._executor,
        )

    def cancel(self, upload: str, *, preempt: bool = False) -> None:
        """End an upload and free what it holds; a published file stays. Raises Locked, Gone."""
        found = self._repository.read(upload)
        with ExitStack() as stack:
            if not found.record.finished:
                try:
                    stack.enter_context(self._locks.writer(upload, _nothing, preempt=preempt))
                except NoSuchUpload:
                    self._ended(upload)
            self.discard(upload)

    def cancel_if_empty(self, upload: str) -> None:
        """End an upload that broke off before its first byte: who begins anew loses nothing."""
        try:
            found = self._repository.read(upload)
            if found.record.open and found.offset == 0:
                self.cancel(upload)
        except (UploadGone, StorageError) as error:
            _log.info("the upload %s stays until it expires: %s", upload, error)

    def discard(self, upload: str) -> None:
        """Remove all of an upload of which nobody was told, and its record."""
        self._scans.forget(upload)
        self._repository.remove(upload)

    def sweep(self) -> None:
        """Remove what nobody has touched for longer than the expiry. Blocks."""
        self._repository.sweep()

    def sweep_unbegun(self) -> None:
        """Remove only those to which no byte was sent in time, which is cheaper. Blocks."""
        self._repository.sweep_all(self._unfinished_uploads.perhaps_unbegun())


def _finished(found: Status, offset: int, content_length: int | None) -> Status:
    if (offset, content_length) != (found.offset, 0):
        raise OffsetMismatch(found.offset)
    return found


def _nothing() -> None:
    """For those who do not read a body, and end by themselves."""
