"""Concatenate partial uploads to one file (tus 1.0.0, Concatenation)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fileservice.executor import Executor
from fileservice.storage import NoSuchUpload, ResumableWriter, StorageError, describe_error
from fileservice.upload.caller import Caller
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import (
    DigestMismatch,
    InvalidConcatenation,
    UnacceptableContent,
    UploadGone,
)
from fileservice.upload.inspection.inspector import HEAD, Inspector
from fileservice.upload.policy import UploadRequest
from fileservice.upload.receive import receive
from fileservice.upload.resumable.record import UploadKind, UploadRecord
from fileservice.upload.resumable.repository import UploadRepository
from fileservice.upload.resumable.session import SessionContext
from fileservice.upload.resumable.state import UploadState
from fileservice.upload.resumable.status import UploadStatus

_log = logging.getLogger(__name__)
_READ_SIZE = 1 << 20


def concatenate(
    request: UploadRequest,
    parts: Sequence[str],
    protocol_metadata: Mapping[str, str],
    context: SessionContext,
) -> UploadStatus:
    """Publish the bytes of partial uploads, one after the other, as one file.

    The bytes are received like those of any other file, and the partial uploads are removed
    afterwards. They are also removed if the file is rejected after its bytes were copied, so that
    each byte that was sent is copied once at most. Raise InvalidConcatenation, Locked, and what
    `receive` raises.
    """
    if len(set(parts)) < len(parts):
        raise InvalidConcatenation("a part can be used only once in a file; upload its bytes again")
    repository, store = context.repository, context.upload.store
    executor = context.upload.executor
    with ExitStack() as stack:
        writers: list[ResumableWriter] = []
        statuses: list[UploadStatus] = []
        for part in parts:
            statuses.append(_complete_part(part, request.caller, context))
            writers.append(executor.run_io(store.locker.lock, part))
            stack.callback(executor.run_io, writers[-1].close)
        _check_head(request, writers, context.upload)
        request = replace(request, length=sum(writer.size for writer in writers))
        record = UploadRecord(
            request.name,
            request.length,
            protocol_metadata,
            kind=UploadKind.FINAL,
            state=UploadState.CONCATENATING,
            owner=request.caller.owner,
        )
        # The record comes first, so that its want of space is no error after the publication.
        upload = executor.run_io(store.uploads.create, record.to_bytes(), None)
        final_writer = executor.run_io(store.locker.lock, upload)
        stack.callback(executor.run_io, final_writer.close)
        status = UploadStatus(upload, record, offset=0, expires=0.0)
        covered_by = [s.record.reservation for s in statuses if s.record.reservation]
        try:
            result = receive(
                request, _read(writers, executor), context.upload, covered_by=covered_by
            )
        except (UnacceptableContent, DigestMismatch):
            _remove(repository, status, *statuses)
            raise
        except BaseException:
            _remove(repository, status)
            raise
        status = status.publish(result.file)
        repository.end_published(final_writer, status)
        _remove(repository, *statuses)
    return repository.modified_now(status, status.offset)


def _complete_part(part: str, caller: Caller, context: SessionContext) -> UploadStatus:
    """Return the status of a partial upload. Raise InvalidConcatenation if it is not complete."""
    try:
        status = context.repository.read(part, caller.owner)
    except (NoSuchUpload, UploadGone):
        raise InvalidConcatenation(f"there is no upload {part} to concatenate") from None
    if status.record.kind is not UploadKind.PARTIAL or status.state is not UploadState.COMPLETE:
        raise InvalidConcatenation(f"the upload {part} is not a partial one, or it is not complete")
    return status


def _check_head(
    request: UploadRequest, writers: Sequence[ResumableWriter], context: UploadContext
) -> None:
    """Raise UnacceptableContent if the first bytes show it, before anything is copied."""
    head = b""
    for writer in writers:
        head += context.executor.run_io(writer.read_at, HEAD - len(head), 0)
        if len(head) == HEAD:
            break
    inspector = Inspector(context.policy.file_type(request.name), context.policy.content)
    context.executor.run_io(inspector.feed_head, head)


def _read(writers: Sequence[ResumableWriter], executor: Executor) -> Iterator[bytes]:
    for writer in writers:
        for offset in range(0, writer.size, _READ_SIZE):
            count = min(_READ_SIZE, writer.size - offset)
            yield executor.run_io(writer.read_at, count, offset)


def _remove(repository: UploadRepository, *statuses: UploadStatus) -> None:
    for status in statuses:
        try:
            repository.remove(status)
        except StorageError as error:
            _log.warning(
                "the upload %s stays until it expires: %s", status.upload, describe_error(error)
            )
