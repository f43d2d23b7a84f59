"""Receive one file in one request."""

from collections.abc import Iterable

from fileservice.executor import Executor
from fileservice.filetypes import Family
from fileservice.storage import Store
from fileservice.upload.inspection.scan import Block, begin_scan
from fileservice.upload.pipeline import Pipeline
from fileservice.upload.policy import UploadPolicy, UploadRequest, admit
from fileservice.upload.publish import UploadResult, publish


def receive(
    request: UploadRequest,
    blocks: Iterable[Block],
    *,
    policy: UploadPolicy,
    store: Store,
    executor: Executor,
) -> UploadResult:
    """Take in one file and publish it, or raise and leave nothing behind.

    `blocks` is not touched before the offer is admitted, and each block must stay as it is until
    the next but one is asked for; what it raises when the body is cut short passes through.
    `offload` runs what blocks away from the event loop.
    """
    file_type, stored = admit(request, policy, store, executor)
    if stored:
        return UploadResult(stored, created=False)
    judged_whole = file_type.family in (Family.OLE, Family.ZIP)
    writer = executor.run_io(
        store.writer,
        request.length,
        stream_to=None if judged_whole else request.name,
        min_free=policy.min_free,
    )
    try:
        scan = begin_scan(request, policy, file_type)
        stream = Pipeline(policy, store, writer, scan, executor, length=request.length)
        stream.pump(blocks)
        stream.check_room()
        return executor.run_io(publish, request, policy, store, writer, scan, executor.run_cpu)
    finally:
        executor.run_io(writer.close)
