"""Open the store that a URL names: the only module that knows the schemes of store URLs."""

import threading
from pathlib import Path

from fileservice.executor import CallBlocking, NewLock, call_directly
from fileservice.storage.files import StoreVerification
from fileservice.storage.interface import Store
from fileservice.storage.local import Layout, LocalStore, verify
from fileservice.storage.s3.location import Location


def check_url(url: str) -> None:
    """Raise ValueError unless `url` is s3://bucket/prefix or the path of a directory."""
    scheme, separator, _ = url.partition("://")
    if _is_bucket(url):
        Location.parse(url)
    elif separator:
        raise ValueError(
            f"stores of the kind {scheme}:// are not supported;"
            " give a directory or s3://bucket/prefix"
        )


def has_presigned_urls(url: str) -> bool:
    """Return whether the store at `url` has URLs from which clients can fetch files."""
    return _is_bucket(url)


def directory_of(url: str) -> Path | None:
    """Return the directory with the files of the store at `url`; None for a bucket."""
    return None if _is_bucket(url) else Path(url)


def verify_store(url: str, *, fsync: bool, identity: str | None = None) -> StoreVerification:
    """Verify that the store at `url` is fit to be used, and return its identity.

    Raise StorageError if the store cannot keep what this service promises or does not have the
    given `identity`, and ValueError for a URL that is not valid.
    """
    if _is_bucket(url):
        from fileservice.storage.s3.store import S3Store  # as below
        from fileservice.storage.s3.verify import clock_skew

        return StoreVerification(clock_skew=clock_skew(S3Store(Location.parse(url)).client))
    return verify(Layout.under(Path(url), fsync=fsync, identity=identity))


def open_store(
    url: str,
    *,
    fsync: bool,
    verified: bool = False,
    identity: str | None = None,
    new_lock: NewLock = threading.Lock,
    call_blocking: CallBlocking = call_directly,
) -> Store:
    """Open the store at `url`, and verify it first unless it is `verified`.

    A verified store need not be reachable at this moment: its calls raise StorageUnavailable until
    it is, and as long as a directory does not have the given `identity`. `new_lock` makes locks for
    the threads that call the store of a directory, and `call_blocking` lets their brief calls wait
    for the disk. Raise what `verify_store` raises.
    """
    if _is_bucket(url):
        # Imported here because botocore must not be loaded before gevent has patched the modules
        # that it uses, and because loading it takes a tenth of a second.
        from fileservice.storage.s3.store import S3Store

        return S3Store(Location.parse(url), verified=verified)
    return LocalStore(
        Path(url),
        fsync=fsync,
        verified=verified,
        identity=identity,
        new_lock=new_lock,
        call_blocking=call_blocking,
    )


def _is_bucket(url: str) -> bool:
    return url.startswith("s3://")
