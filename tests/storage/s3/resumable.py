"""Resumable uploads to a store, as the web package makes them."""

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.storage import Store
from fileservice.upload import (
    AppendRequest,
    LockTiming,
    ResumableUploads,
    UploadContext,
    UploadPolicy,
    UploadStatus,
)

_POLICY = UploadPolicy(types=filetypes.TABLE, max_size=64 << 20, min_free=0, digest=True)


def resumable_uploads(store: Store) -> ResumableUploads:
    """Return the service over a store."""
    return ResumableUploads(context(store), expiry=86400.0, lock_timing=LockTiming(acquire=60.0))


def context(store: Store) -> UploadContext:
    """Return what uploads to a store work with."""
    return UploadContext(store, _POLICY, InlineExecutor())


def append(
    uploads: ResumableUploads, upload: str, offset: int, *blocks: bytes, **options: bool
) -> UploadStatus:
    """Append the blocks, whose total length is declared."""
    request = AppendRequest(
        offset,
        iter(blocks),
        content_length=sum(map(len, blocks)),
        interrupt=lambda: None,
        **options,
    )
    return uploads.append(upload, request)
