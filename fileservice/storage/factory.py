"""Which store a URL names: the one place that knows the schemes."""

from pathlib import Path

from fileservice.storage.interface import Store, StoreVerification
from fileservice.storage.local import LocalStore, layout_of, verify
from fileservice.storage.s3.location import Location


def check_url(url: str) -> None:
    """Raise ValueError for a URL that begins with s3:// and makes no sense."""
    Location.parse(url)


def verify_store(url: str, *, fsync: bool, identity: str | None = None) -> StoreVerification:
    """Prove that the store at `url` (s3://bucket/prefix or a directory) is fit, and what it is.

    Raises StorageError when it cannot keep what this service promises, or is not the one that has
    this `identity`, and ValueError for a URL that makes no sense.
    """
    if url.startswith("s3://"):
        open_store(url, fsync=fsync)
        return StoreVerification()
    return verify(layout_of(Path(url), fsync=fsync, identity=identity))


def open_store(
    url: str, *, fsync: bool, verified: bool = False, identity: str | None = None
) -> Store:
    """The store at `url`, proved to be fit unless it was before; raises what `prove_store` does.

    One that is `proved` need not be there at this moment: its calls raise StorageUnavailable until
    it is. The same goes for a directory that has not the `identity` that is given.
    """
    if url.startswith("s3://"):
        # Here: the SDK must not be loaded before gevent has patched what it is built on, and
        # costs those who have a directory a tenth of a second.
        from fileservice.storage.s3.store import S3Store

        return S3Store(Location.parse(url), verified=verified)
    return LocalStore(Path(url), fsync=fsync, verified=verified, identity=identity)
