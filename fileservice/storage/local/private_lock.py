"""LocalPrivateLock: the lock of a private file, among the processes of one machine."""

import fcntl
import os
from typing import Self

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_MODE = 0o600


class LocalPrivateLock:
    """An empty file that is locked (flock); see `interface.PrivateLock`.

    The kernel releases the lock when the process ends. The file stays.
    """

    def __init__(self, descriptor: int, path: bytes) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def take(cls, path: bytes) -> Self | None:
        """Return the lock of the file at this path; None if it is locked. Raise OSError."""
        descriptor = os.open(path, _FLAGS, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return cls(descriptor, path)

    def keep(self) -> bool:
        """Return whether the path still has the locked file, which others may have removed."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        os.close(self._descriptor)
