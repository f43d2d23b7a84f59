"""Translation of the operating system's errors into those of the store."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from fileservice.storage.errors import Busy, StorageFull, StorageUnavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextmanager
def translate_errors(path: bytes | None = None) -> Iterator[None]:
    """Raise an OSError as StorageFull, Busy or StorageUnavailable, with the OSError as its cause.

    `path` is added to an OSError that has no path, as that of a call on a descriptor has none;
    `storage.errors.describe_error` logs it.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
        if error.errno in _FULL:
            raise StorageFull(f"there is no space left for the file: {reason}") from error
        if error.errno in _EXHAUSTED:
            raise Busy(
                f"the server has no file descriptors or memory left at present: {reason}"
            ) from error
        if error.errno == errno.EROFS:
            raise StorageUnavailable(f"the storage is read-only at present: {reason}") from error
        raise StorageUnavailable(f"the storage does not work at present: {reason}") from error
