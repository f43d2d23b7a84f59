"""Receive a file that comes in one request."""

import time
from collections.abc import Collection, Iterable
from itertools import chain

from fileservice.names import FileName
from fileservice.storage import Writer
from fileservice.upload.admit import admit
from fileservice.upload.context import UploadContext
from fileservice.upload.inspection.scan import Block, ContentScan, begin_scan
from fileservice.upload.pipeline import Pipeline
from fileservice.upload.policy import UploadRequest
from fileservice.upload.publish import UploadResult, publish, publish_unchecked
from fileservice.upload.quota import QuotaReservation

_MAX_SMALL = 128 * 1024
"""A file of up to this many bytes is stored by one call when all of it has arrived. For a larger
one, writing what has arrived while the rest is received saves more than the calls cost."""


def receive(
    request: UploadRequest,
    blocks: Iterable[Block],
    context: UploadContext,
    *,
    covered_by: Collection[str] = (),
) -> UploadResult:
    """Receive one file and publish it, or raise and store nothing.

    `blocks` is not iterated over before the request is admitted. Each block must stay unchanged
    until the next but one is asked for. An error that `blocks` raises, such as that of a body which
    ends early, passes through. For `covered_by` see `QuotaAccount.reserve`.
    Raise what `admit`, `Pipeline.write_all`, `publish` and the caller's account raise.
    """
    admission = admit(request, context)
    if admission.repeated:
        return UploadResult(admission.repeated, created=False)
    size = request.at_least if request.length is None else request.length
    reservation = request.caller.account.reserve(
        size, covered_by=covered_by, replaces=admission.replaces
    )
    try:
        is_read_again = admission.file_type.family.is_read_again or context.staged_checks
        stream_to = None if is_read_again else request.name
        return _receive(request, blocks, context, stream_to, reservation)
    finally:
        if reservation.name:
            context.executor.run_io(reservation.release)


def _receive(
    request: UploadRequest,
    blocks: Iterable[Block],
    context: UploadContext,
    stream_to: FileName | None,
    reservation: QuotaReservation,
) -> UploadResult:
    executor = context.executor
    scan = begin_scan(request, context.policy)
    began, body = time.perf_counter(), None
    if not context.staged_checks:  # they may take minutes, in which they must not hold a thread
        body, blocks = _small_body(blocks, request.length)
    request.caller.stages.add("receive", time.perf_counter() - began)
    if body is not None:
        return executor.run_brief(
            _store_small_body, request, context, scan, stream_to, reservation, body
        )
    writer, pipeline = executor.run_io(_begin, request, context, scan, stream_to, reservation)
    try:
        pipeline.write_all(blocks)
        pipeline.check_free_space()
        if not context.staged_checks:
            return executor.run_io(_publish, request, context, writer, scan, reservation)
        result = publish(request, context, writer, scan, reservation)
        if result.is_new:
            executor.run_io(reservation.commit, result.file.size)
        return result
    finally:
        executor.run_io(writer.close)


def _small_body(
    blocks: Iterable[Block], length: int | None
) -> tuple[Block | None, Iterable[Block]]:
    """Return the first block if it is a small body of its own, or None; and all of the blocks.

    Nothing is read if the declared length is not that of a small body.
    """
    if length is not None and length > _MAX_SMALL:
        return None, blocks
    remaining = iter(blocks)
    first = next(remaining, b"")
    if len(first) > _MAX_SMALL or (length is not None and len(first) < length):
        return None, chain((first,), remaining)
    second = next(remaining, None)
    if second is None:
        return first, ()
    return None, chain((first, second), remaining)


def _store_small_body(
    request: UploadRequest,
    context: UploadContext,
    scan: ContentScan,
    stream_to: FileName | None,
    reservation: QuotaReservation,
    body: Block,
) -> UploadResult:
    """Store a file all of whose bytes have arrived, in a brief call.

    A call of the executor costs about as much as all system calls that a small file takes on a fast
    disk, so there is only one.
    """
    writer, pipeline = _begin(request, context, scan, stream_to, reservation)
    try:
        pipeline.write(body)
        pipeline.check_free_space()
        return _publish(request, context, writer, scan, reservation)
    finally:
        writer.close()


def _begin(
    request: UploadRequest,
    context: UploadContext,
    scan: ContentScan,
    stream_to: FileName | None,
    reservation: QuotaReservation,
) -> tuple[Writer, Pipeline]:
    """Open a writer, and reserve the space for a large file. Blocks. Raise StorageFull."""
    writer = context.store.writer(request.length, stream_to=stream_to)
    try:
        pipeline = Pipeline(
            context,
            writer,
            scan,
            length=request.length,
            reservation=reservation,
            stages=request.caller.stages,
        )
        pipeline.reserve_declared_length()
    except BaseException:
        writer.close()
        raise
    return writer, pipeline


def _publish(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    scan: ContentScan,
    reservation: QuotaReservation,
) -> UploadResult:
    """Publish the file and count it, where there are no checks. Blocks."""
    result = publish_unchecked(request, context, writer, scan, reservation)
    if result.is_new and reservation.name:
        context.executor.run_io(reservation.commit, result.file.size)
    elif result.is_new:
        reservation.commit(result.file.size)  # this counts at most what had a quota before
    return result
