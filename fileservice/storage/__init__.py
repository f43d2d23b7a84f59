"""Where files are kept. `open_store` gives the store that a URL names."""

from pathlib import Path

from fileservice.storage.base import (
    Busy,
    Content,
    Kept,
    Locked,
    NameReserved,
    NameTaken,
    NoSuchUpload,
    NotFound,
    Opened,
    ResumableWriter,
    Staged,
    StorageError,
    StorageFull,
    StorageUnavailable,
    Store,
    StoredFile,
    Unfinished,
    Uploads,
    Writer,
)
from fileservice.storage.local import LocalStore
from fileservice.storage.s3.location import Location

__all__ = [
    "Busy",
    "Content",
    "Kept",
    "Locked",
    "NameReserved",
    "NameTaken",
    "NoSuchUpload",
    "NotFound",
    "Opened",
    "ResumableWriter",
    "Staged",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "Store",
    "StoredFile",
    "Unfinished",
    "Uploads",
    "Writer",
    "check_url",
    "open_store",
]


def check_url(url: str) -> None:
    """Raise ValueError for a URL that begins with s3:// and makes no sense."""
    Location.parse(url)


def open_store(url: str, *, fsync: bool, proved: bool = False) -> Store:
    """The store at `url` (s3://bucket/prefix or a directory), proved to work unless it was before.

    Raises StorageUnavailable when it cannot keep what this service promises, and ValueError for
    a URL that makes no sense.
    """
    if url.startswith("s3://"):
        # Here: the SDK must not be loaded before gevent has patched what it is built on, and
        # costs those who have a directory a tenth of a second.
        from fileservice.storage.s3.store import S3Store

        return S3Store(Location.parse(url), proved=proved)
    return LocalStore(Path(url), fsync=fsync)
