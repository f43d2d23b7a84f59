"""Where files are kept. `open_store` gives the store that a URL names."""

from pathlib import Path

from fileservice.storage.base import (
    Busy,
    Content,
    Kept,
    Locked,
    NameTaken,
    NoSuchUpload,
    NotFound,
    Opened,
    ResumableWriter,
    StorageError,
    StorageFull,
    StorageUnavailable,
    Store,
    StoredFile,
    Uploads,
    Writer,
)
from fileservice.storage.local import LocalStore

__all__ = [
    "Busy",
    "Content",
    "Kept",
    "Locked",
    "NameTaken",
    "NoSuchUpload",
    "NotFound",
    "Opened",
    "ResumableWriter",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "Store",
    "StoredFile",
    "Uploads",
    "Writer",
    "open_store",
]


def open_store(url: str, *, fsync: bool) -> Store:
    """The store at `url` (today a directory), made and proved to work.

    Raises StorageUnavailable when it cannot keep what this service promises.
    """
    return LocalStore(Path(url), fsync=fsync)
