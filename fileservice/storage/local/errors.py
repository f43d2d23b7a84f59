"""What the operating system refuses, in the words of the store."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fileservice.storage.errors import Busy, StorageFull, StorageUnavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextmanager
def translate_errors(path: bytes | None = None) -> Iterator[None]:
    """Turn what the operating system refuses into the store's errors, caused by its OSError.

    That error has the path for the log (`base.in_full`): its own, or else `path`, as calls on a
    descriptor know none.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
        if error.errno in _FULL:
            raise StorageFull(f"there is no room left for the file: {reason}") from error
        if error.errno in _EXHAUSTED:
            raise Busy(f"the server has no means left at present: {reason}") from error
        if error.errno == errno.EROFS:
            raise StorageUnavailable(f"the storage is read-only at present: {reason}") from error
        raise StorageUnavailable(f"the storage does not do its work: {reason}") from error


def sync_directory(path: bytes) -> None:
    """Make the names in a directory outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
