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
    Proof,
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
    in_full,
)
from fileservice.storage.local import LocalStore, places_of, prove
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
    "Proof",
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
    "in_full",
    "open_store",
    "prove_store",
]


def check_url(url: str) -> None:
    """Raise ValueError for a URL that begins with s3:// and makes no sense."""
    Location.parse(url)


def prove_store(url: str, *, fsync: bool, identity: str | None = None) -> Proof:
    """Prove that the store at `url` (s3://bucket/prefix or a directory) is fit, and what it is.

    Raises StorageError when it cannot keep what this service promises, or is not the one that has
    this `identity`, and ValueError for a URL that makes no sense.
    """
    if url.startswith("s3://"):
        open_store(url, fsync=fsync)
        return Proof()
    return prove(places_of(Path(url), fsync=fsync, identity=identity))


def open_store(
    url: str, *, fsync: bool, proved: bool = False, identity: str | None = None
) -> Store:
    """The store at `url`, proved to be fit unless it was before; raises what `prove_store` does.

    One that is `proved` need not be there at this moment: its calls raise StorageUnavailable until
    it is. The same goes for a directory that has not the `identity` that is given.
    """
    if url.startswith("s3://"):
        # Here: the SDK must not be loaded before gevent has patched what it is built on, and
        # costs those who have a directory a tenth of a second.
        from fileservice.storage.s3.store import S3Store

        return S3Store(Location.parse(url), proved=proved)
    return LocalStore(Path(url), fsync=fsync, proved=proved, identity=identity)
