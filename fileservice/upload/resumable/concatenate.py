"""Joining: complete parts, each uploaded for itself, become one file."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fileservice.executor import Executor
from fileservice.storage import NoSuchUpload, ResumableWriter, StorageError, Store, describe_error
from fileservice.upload.errors import (
    ContentMismatch,
    DigestMismatch,
    InvalidConcatenation,
    UploadGone,
)
from fileservice.upload.inspection.inspector import HEAD, Inspector
from fileservice.upload.policy import UploadPolicy, UploadRequest, type_of
from fileservice.upload.receive import receive
from fileservice.upload.resumable.record import Record
from fileservice.upload.resumable.repository import Status, UploadRepository

_log = logging.getLogger(__name__)
_BLOCK = 1 << 20


def concatenate(
    request: UploadRequest,
    parts: Sequence[str],
    protocol_metadata: Mapping[str, str],
    *,
    repository: UploadRepository,
    policy: UploadPolicy,
    store: Store,
    executor: Executor,
) -> Status:
    """Publish the bytes of complete parts, one after the other, as one file.

    They take the same way in as any file, and are gone afterwards. So are parts that only turn out
    at their end not to be such a file: each byte that was sent is copied once at the most. Raises
    NotJoinable, Locked, and what `receive` raises.
    """
    if len(set(parts)) < len(parts):
        raise InvalidConcatenation(
            "a part can stand in a file once only; upload its bytes once more"
        )
    with ExitStack() as stack:
        writers: dict[str, ResumableWriter] = {}
        for part in parts:
            writers[part] = _open(part, repository, store, executor)
            stack.callback(executor.run_io, writers[part].close)
        ordered = list(writers.values())
        _judge_head(request, ordered, policy, executor)
        request = replace(request, length=sum(writer.size for writer in ordered))
        record = Record(request.name, request.length, protocol_metadata, is_final=True)
        # First: what was published must not become an error for want of room for its record.
        upload = executor.run_io(store.uploads.create, record.to_bytes(), None)
        final_writer = executor.run_io(store.locker.lock, upload)
        stack.callback(executor.run_io, final_writer.close)
        try:
            result = receive(
                request, _bytes_of(ordered, executor), policy=policy, store=store, executor=executor
            )
        except (ContentMismatch, DigestMismatch):
            _remove(repository, upload, *parts)
            raise
        except BaseException:
            _remove(repository, upload)
            raise
        finished = replace(record, finished=result.file)
        repository.end_published(upload, final_writer, finished)
        _remove(repository, *parts)
    return Status(upload, finished, result.file.size, repository.expires_from_now())


def _judge_head(
    request: UploadRequest,
    writers: Sequence[ResumableWriter],
    policy: UploadPolicy,
    executor: Executor,
) -> None:
    """Raise ContentMismatch where the first bytes show a wrong type, before anything is copied."""
    head = b""
    for writer in writers:
        head += executor.run_io(writer.read_at, HEAD - len(head), 0)
        if len(head) == HEAD:
            break
    executor.run_io(Inspector(type_of(request.name, policy)).judge_by, head)


def _remove(repository: UploadRepository, *uploads: str) -> None:
    for upload in uploads:
        try:
            repository.remove(upload)
        except StorageError as error:
            _log.warning("the upload %s stays until it expires: %s", upload, describe_error(error))


def _open(
    part: str, repository: UploadRepository, store: Store, executor: Executor
) -> ResumableWriter:
    try:
        found = repository.read(part)
    except (NoSuchUpload, UploadGone):
        raise InvalidConcatenation(f"there is no upload {part} to join") from None
    if found.record.name or found.record.is_final or found.offset != found.record.length:
        raise InvalidConcatenation(f"the upload {part} is not a part, or not complete")
    return executor.run_io(store.locker.lock, part)


def _bytes_of(writers: Sequence[ResumableWriter], executor: Executor) -> Iterator[bytes]:
    for writer in writers:
        for offset in range(0, writer.size, _BLOCK):
            count = min(_BLOCK, writer.size - offset)
            yield executor.run_io(writer.read_at, count, offset)
