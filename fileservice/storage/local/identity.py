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
from typing import NamedTuple

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.local import staging
from fileservice.storage.local.errors import sync_directory

_FORM = re.compile(rb"[0-9a-f]{32}\n")


class Marker(NamedTuple):
    """What tells one marker from another, without reading it."""

    device: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Marker":
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns)


class Identity:
    """Of the store in the directory `root`, as one process sees it.

    `expected` is the identity that the store must have; without one it is the first that is found.
    Every method may raise OSError.
    """

    def __init__(self, root: bytes, directories: Iterable[bytes], expected: str | None) -> None:
        self._root = root
        self._private = os.path.join(root, b".fileservice")
        self._path = os.path.join(self._private, b"identity")
        self._directories = tuple(directories)
        self.expected = expected
        self._verified: Marker | None = None
        """The marker that was last found to be right."""
        self._prepared: Marker | None = None
        """The marker of a store that has all its directories."""

    def check(self) -> None:
        """Raise StorageUnavailable unless the store is the one expected.

        A store that never had an identity is believed to be the one. This costs one system call
        while the marker stays what it is.
        """
        self._check()

    def require(self) -> None:
        """The same, for who is about to write; makes what the store lacks of what is ours."""
        marker = self._check()
        if not marker or marker != self._prepared:
            self._prepare(marker)

    def _check(self) -> "Marker | None":
        """The marker; None where there is none and none is expected."""
        try:
            marker = Marker.of(os.stat(self._path))
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.expected:
                raise _another() from error
            os.stat(self._root)  # a root that is gone is a fault
            return None
        return marker if marker == self._verified else self._verify()

    def _verify(self) -> "Marker":
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            marker, found = Marker.of(os.fstat(descriptor)), os.read(descriptor, 100)
        finally:
            os.close(descriptor)
        if not _FORM.fullmatch(found):
            raise _another() from OSError(errno.EINVAL, "no identity", self._path)
        identity = found.decode().strip()
        if self.expected is None:
            self.expected = identity
        if identity != self.expected:
            difference = f"the identity is {identity}, expected is {self.expected}"
            raise _another() from OSError(errno.ESTALE, difference, self._path)
        self._verified = marker
        return marker

    def _prepare(self, marker: "Marker | None") -> None:
        if not marker:
            os.makedirs(self._private, exist_ok=True)
        for directory in self._directories:
            with suppress(FileExistsError):
                os.mkdir(directory)
        if not marker:
            self._mark()
        self._prepared = self._check()

    def _mark(self) -> None:
        """Give the store an identity, durably; of several processes that do so one decides."""
        descriptor, path = staging.create(self._directories[0])
        try:
            os.write(descriptor, secrets.token_hex(16).encode() + b"\n")
            os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(path, self._path)
        finally:
            os.unlink(path)
            os.close(descriptor)
        sync_directory(self._private)
        sync_directory(self._root)


def _another() -> StorageUnavailable:
    return StorageUnavailable(
        "the storage is not the one that the service was started with;"
        " its file system may not be mounted"
    )
