"""Receive a file that comes in one request."""

from collections.abc import Iterable

from fileservice.names import FileName
from fileservice.storage import Writer
from fileservice.upload.admit import admit
from fileservice.upload.context import UploadContext
from fileservice.upload.inspection.scan import Block, ContentScan, begin_scan
from fileservice.upload.pipeline import Pipeline
from fileservice.upload.policy import UploadRequest
from fileservice.upload.publish import UploadResult, publish


def receive(
    request: UploadRequest, blocks: Iterable[Block], context: UploadContext
) -> UploadResult:
    """Receive one file and publish it, or raise and store nothing.

    `blocks` is not iterated over before the request is admitted. Each block must stay unchanged
    until the next but one is asked for. An error that `blocks` raises, such as that of a body which
    ends early, passes through. Raise what `admit`, `Pipeline.write_all` and `publish` raise.
    """
    file_type, stored = admit(request, context)
    if stored:
        return UploadResult(stored, created=False)
    executor = context.executor
    scan = begin_scan(request, context.policy)
    stream_to = None if file_type.family.is_read_again else request.name
    writer, pipeline = executor.run_io(_begin, request, context, scan, stream_to)
    try:
        pipeline.write_all(blocks)
        pipeline.check_free_space()
        return executor.run_io(publish, request, context, writer, scan)
    finally:
        executor.run_io(writer.close)


def _begin(
    request: UploadRequest, context: UploadContext, scan: ContentScan, stream_to: FileName | None
) -> tuple[Writer, Pipeline]:
    """Open a writer, and reserve the space for a large file. Blocks. Raise StorageFull."""
    writer = context.store.writer(request.length, stream_to=stream_to)
    try:
        pipeline = Pipeline(context, writer, scan, length=request.length)
        pipeline.reserve_declared_length()
    except BaseException:
        writer.close()
        raise
    return writer, pipeline
