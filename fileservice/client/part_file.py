"""PartFile: a file that is being fetched, beside the place where it will be.

Its name is made from the URL and the entity tag, so what another process left of it is what this
one wants, or of another version and never touched. Its lock (flock) keeps two processes from
fetching into one file.
"""

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from fileservice.client.errors import FileExists, InUse, LocalFileError

_BLOCK = 1 << 20


class PartFile:
    """The bytes that have arrived so far. Every method may raise LocalFileError."""

    def __init__(self, path: Path, descriptor: int, target: Path) -> None:
        self._path = path
        self._descriptor = descriptor
        self._target = target
        self._digest = hashlib.sha256()
        self.size = 0
        """The number of bytes."""

    @classmethod
    def open(cls, target: Path, url: str, etag: str) -> Self:
        """Open what there is of a file that will be `target`, or begin it. Raise InUse."""
        key = hashlib.sha256(f"{url}\n{etag}".encode()).hexdigest()[:16]
        path = target.with_name(f".fileservice-{key}.part")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            while True:
                descriptor = os.open(path, flags, 0o666)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part = cls(path, descriptor, target)
                    if part._is_in_place():
                        part._read()
                        return part
                except BlockingIOError:
                    os.close(descriptor)
                    raise InUse(target) from None
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # a process that has just completed the file moved it
        except OSError as error:
            raise LocalFileError(path, error) from None

    @property
    def sha256(self) -> bytes:
        """The digest of the bytes so far."""
        return self._digest.digest()

    def write(self, block: bytes) -> None:
        """Append bytes."""
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise LocalFileError(self._target, error) from None
        self._digest.update(block)
        self.size += len(block)

    def clear(self) -> None:
        """Drop all bytes."""
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as error:
            raise LocalFileError(self._path, error) from None
        self._digest, self.size = hashlib.sha256(), 0

    def publish(self, *, force: bool) -> None:
        """Give the complete file its name in one durable step. Raise FileExists unless `force`."""
        try:
            os.fsync(self._descriptor)
            if force:
                self._path.replace(self._target)
            else:
                os.link(self._path, self._target)
                self._path.unlink()
            _sync_directory(self._target.parent)
        except FileExistsError:
            raise FileExists(self._target) from None
        except OSError as error:
            raise LocalFileError(self._target, error) from None

    def remove(self) -> None:
        """Remove the file from where it is being fetched."""
        with suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Let other processes go on with the file. If nothing has arrived, it is removed."""
        if not self.size:
            self.remove()
        os.close(self._descriptor)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.lstat())
        except FileNotFoundError:
            return False

    def _read(self) -> None:
        while block := os.read(self._descriptor, _BLOCK):
            self._digest.update(block)
            self.size += len(block)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
