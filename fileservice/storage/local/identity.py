"""Identity: which store this is, told by a marker in it.

A directory on which a file system was mounted is still there when that is lost, and whatever were
stored in it then would be hidden when the file system returns. So a store has a marker with an
identity, and nothing is written where the marker is not that of the store expected.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress

from fileservice.storage.base import StorageUnavailable
from fileservice.storage.local import staging
from fileservice.storage.local.faults import sync_directory

_FORM = re.compile(rb"[0-9a-f]{32}\n")


class Identity:
    """Of the store in the directory `root`, as one process sees it.

    `expected` is the identity that the store must have; without one it is the first that is found.
    Every method may raise OSError.
    """

    def __init__(self, root: bytes, directories: Iterable[bytes], expected: str | None) -> None:
        self._root = root
        self._private = os.path.join(root, b".fileservice")
        self._marker = os.path.join(self._private, b"identity")
        self._directories = tuple(directories)
        self.expected = expected
        self._checked: tuple[int, int, int] | None = None
        """Device, inode and time of modification of the marker that was last found to be right."""
        self._prepared: tuple[int, int, int] | None = None
        """The same of the marker of a store that has all its directories."""

    def check(self) -> None:
        """Raise StorageUnavailable unless the store is the one expected.

        A store that never had an identity is believed to be the one. This costs one system call
        while the marker stays what it is.
        """
        try:
            status = os.stat(self._marker)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._checked = None
            if self.expected:
                raise _another() from error
            os.stat(self._root)  # a root that is gone is a fault
            return
        if _seen(status) != self._checked:
            self._verify()

    def require(self) -> None:
        """The same, for who is about to write; makes what the store lacks of what is ours."""
        self.check()
        if not self._checked or self._prepared != self._checked:
            self._prepare()

    def _verify(self) -> None:
        descriptor = os.open(self._marker, os.O_RDONLY | os.O_CLOEXEC)
        try:
            seen, found = _seen(os.fstat(descriptor)), os.read(descriptor, 100)
        finally:
            os.close(descriptor)
        if not _FORM.fullmatch(found):
            raise _another() from OSError(errno.EINVAL, "no identity", self._marker)
        identity = found.decode().strip()
        if self.expected is None:
            self.expected = identity
        if identity != self.expected:
            difference = f"the identity is {identity}, expected is {self.expected}"
            raise _another() from OSError(errno.ESTALE, difference, self._marker)
        self._checked = seen

    def _prepare(self) -> None:
        for directory in self._directories:
            os.makedirs(directory, exist_ok=True)
        if not self._checked:
            self._mark()
            self.check()
        self._prepared = self._checked

    def _mark(self) -> None:
        """Give the store an identity, durably; of several processes that do so one decides."""
        descriptor, path = staging.create(self._directories[0])
        try:
            os.write(descriptor, secrets.token_hex(16).encode() + b"\n")
            os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(path, self._marker)
        finally:
            os.unlink(path)
            os.close(descriptor)
        sync_directory(self._private)
        sync_directory(self._root)


def _seen(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _another() -> StorageUnavailable:
    return StorageUnavailable(
        "the storage is not the one that the service was started with;"
        " its file system may not be mounted"
    )
