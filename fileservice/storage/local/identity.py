"""The identity of a store, kept in a marker file in its directory.

If a file system is lost that was mounted on a directory, the directory itself is still there, and
files stored in it would be hidden once the file system returns. So a store has a marker with an
identity, and nothing is written to a directory whose marker is not that of the expected store.
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
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.permissions import make_directory

_FORMAT = re.compile(rb"[0-9a-f]{32}\n")


class Marker(NamedTuple):
    """The part of a marker's status that distinguishes it from others without reading it."""

    device: int
    inode: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Marker":
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns)


class Identity:
    """The identity of the store in the directory `root`, as one process knows it.

    `expected` is the identity that the store must have; if it is None, it becomes the first one
    that is read. Every method may raise OSError.
    """

    def __init__(self, root: bytes, directories: Iterable[bytes], expected: str | None) -> None:
        self._root = root
        self._private = os.path.join(root, b".fileservice")
        self._path = os.path.join(self._private, b"identity")
        self._directories = tuple(directories)
        self.expected = expected
        self._verified: Marker | None = None
        """The marker that was last read and had the expected identity."""
        self._prepared: Marker | None = None
        """The marker of the store whose directories are known to exist."""

    def check(self) -> None:
        """Raise StorageUnavailable unless this is the expected store.

        A store without a marker is accepted if no identity is expected. This costs one system call
        as long as the marker does not change.
        """
        self._check()

    def require(self) -> None:
        """Check the identity before a write, and create the directories and the marker if missing.

        Raise StorageUnavailable.
        """
        marker = self._check()
        if not marker or marker != self._prepared:
            self._prepare(marker)

    def _check(self) -> "Marker | None":
        """Return the marker, or None if there is none and none is expected."""
        try:
            status = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.expected:
                raise _other_store() from error
            os.stat(self._root)  # raises if the root itself does not exist
            return None
        is_verified = self._verified == (status.st_dev, status.st_ino, status.st_mtime_ns)
        return self._verified if is_verified else self._read()

    def _read(self) -> "Marker":
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            marker, data = Marker.of(os.fstat(descriptor)), os.read(descriptor, 100)
        finally:
            os.close(descriptor)
        if not _FORMAT.fullmatch(data):
            raise _other_store() from OSError(errno.EINVAL, "no identity", self._path)
        identity = data.decode().strip()
        if self.expected is None:
            self.expected = identity
        if identity != self.expected:
            difference = f"the identity is {identity}, expected is {self.expected}"
            raise _other_store() from OSError(errno.ESTALE, difference, self._path)
        self._verified = marker
        return marker

    def _prepare(self, marker: "Marker | None") -> None:
        if not marker:
            make_directory(self._private)
        for directory in self._directories:
            make_directory(directory)
        if not marker:
            self._create_marker()
        self._prepared = self._check()

    def _create_marker(self) -> None:
        """Create the marker durably. If several processes do so at once, one of them succeeds."""
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


def _other_store() -> StorageUnavailable:
    return StorageUnavailable(
        "the storage is not the one that the service was started with;"
        " its file system may not be mounted"
    )
