"""LocalUsageRecords: what is counted of the files of each owner, in a file for each of them.

    usage/HASH    the record of the owner with this hash, locked (flock) while it is changed

The file is written in place, into space that it has already, so that a file can be deleted, and its
bytes given back, on a disk that is full. It begins with a checksum and the id of the boot. A record
that a process was writing when it was killed does not match its checksum. Nothing is synced: after
a power failure the machine has another id, and then the record may be out of date.
"""

import errno
import fcntl
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fileservice.names import BadName, FileName
from fileservice.storage.files import OwnedFile
from fileservice.storage.local import attributes, checkpoint
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.permissions import PRIVATE

_PAGE = 4096
"""A record is padded to a multiple of so many bytes, with blanks, which JSON may end with."""


class LocalUsageRecords:
    """See `storage.interface.UsageRecords`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def update(self, owner: str, change: Callable[[bytes | None], bytes | None]) -> None:
        path = self._path(owner)
        with translate_errors():
            self._layout.identity.require()
            while True:
                if not os.path.exists(path) and change(None) is None:
                    return
                with _locked(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as descriptor:
                    if os.fstat(descriptor).st_nlink == 0:
                        continue  # it was removed between open and flock
                    record = change(_read(descriptor))
                    if record is not None:
                        _write(descriptor, record)
                    return

    def read(self, owner: str) -> bytes | None:
        with translate_errors():
            return _read_path(self._path(owner))

    def records(self) -> Iterator[bytes]:
        with translate_errors(), suppress(FileNotFoundError):
            for name in os.listdir(self._layout.usage):
                if record := _read_path(os.path.join(self._layout.usage, name)):
                    yield record

    def remove(self, owner: str) -> None:
        with translate_errors(), suppress(FileNotFoundError):
            path = self._path(owner)
            with _locked(path, os.O_RDONLY, fcntl.LOCK_EX):
                os.unlink(path)

    def owned_files(self, prefix: str = "") -> Iterator[OwnedFile]:
        with translate_errors(self._layout.root):
            self._layout.identity.check()
            with os.scandir(os.fsdecode(self._layout.root)) as entries:
                for entry in entries:
                    # A file may be deleted meanwhile, or belong to a user who lets nobody read it.
                    with suppress(FileNotFoundError, PermissionError):
                        if entry.name[0] == "." or not entry.name.startswith(prefix):
                            continue
                        if file := _owned_file(entry):
                            yield file

    def _path(self, owner: str) -> bytes:
        digest = hashlib.sha256(owner.encode()).hexdigest()[:32]
        return os.path.join(self._layout.usage, digest.encode())


def _owned_file(entry: os.DirEntry[str]) -> OwnedFile | None:
    """Return the file of a directory entry; None if it has no owner, or is not served."""
    if not entry.is_file(follow_symlinks=False):
        return None
    owner = attributes.read_owner(entry.path)
    if not owner:
        return None
    try:
        name = FileName.parse_bytes(os.fsencode(entry.name))
    except BadName:
        return None
    size, expires = entry.stat(follow_symlinks=False).st_size, attributes.read_expiry(entry.path)
    return OwnedFile(owner, size, name, expires)


@contextmanager
def _locked(path: bytes, flags: int, lock: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(descriptor, lock)
        yield descriptor
    finally:
        os.close(descriptor)


def _read_path(path: bytes) -> bytes | None:
    with suppress(FileNotFoundError), _locked(path, os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
        return _read(descriptor)
    return None


def _read(descriptor: int) -> bytes | None:
    """Return the record in an opened file; None if it is damaged or of another boot."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    head, _, record = data.partition(b"\n")
    return record if head == _head(record) else None


def _write(descriptor: int, record: bytes) -> None:
    """Write a record over the one in an opened file. Raise OSError."""
    length = len(_head(b"")) + 1 + len(record)
    record = record.ljust(len(record) + -length % _PAGE)
    data = _head(record) + b"\n" + record
    if os.pwrite(descriptor, data, 0) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if os.fstat(descriptor).st_size > len(data):
        os.ftruncate(descriptor, len(data))


def _head(record: bytes) -> bytes:
    return b"%08x %s" % (zlib.crc32(record), (checkpoint.boot_id() or "-").encode())
