"""Translation of the operating system's errors into those of the store."""

import errno
from types import TracebackType

from fileservice.storage.errors import Busy, StorageError, StorageFull, StorageUnavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class translate_errors:  # noqa: N801  # used like a function
    """Raise an OSError as StorageFull, Busy or StorageUnavailable, with the OSError as its cause.

    `path` is added to an OSError that has no path, as that of a call on a descriptor has none;
    `storage.errors.describe_error` logs it. (contextmanager would cost four times as much, and a
    small upload needs this a dozen times.)
    """

    __slots__ = ("_path",)

    def __init__(self, path: bytes | None = None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise _translated(error, self._path) from error


def _translated(error: OSError, path: bytes | None) -> StorageError:
    if error.filename is None:
        error.filename = path
    reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
    if error.errno in _FULL:
        return StorageFull(f"there is no space left for the file: {reason}")
    if error.errno in _EXHAUSTED:
        return Busy(f"the server has no file descriptors or memory left at present: {reason}")
    if error.errno == errno.EROFS:
        return StorageUnavailable(f"the storage is read-only at present: {reason}")
    return StorageUnavailable(f"the storage does not work at present: {reason}")
