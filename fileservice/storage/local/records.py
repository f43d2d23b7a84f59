"""The record of an upload, a file that is replaced as a whole.

The records of uploads that have ended are in a directory of their own. Each creation of an upload
counts the unfinished ones, and need not look at the many that ended lately.
"""

import errno
import os
from contextlib import suppress

from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.local import space, staging
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.layout import Layout

SUFFIX = b".json"
"""Appended to the path of the bytes, this gives that of the record."""


def read(layout: Layout, path: bytes) -> tuple[bytes, float]:
    """Return the record of the upload whose bytes are at `path`, and its modification time.

    The time is in seconds since the Unix epoch. Raise NoSuchUpload or OSError.
    """
    for candidate in (path + SUFFIX, ended_path(layout, path)):
        with suppress(FileNotFoundError), open(candidate, "rb", buffering=0) as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    layout.identity.check()
    raise NoSuchUpload


def ended_path(layout: Layout, path: bytes) -> bytes:
    """Return where the record is once the upload has ended whose bytes were at `path`."""
    return os.path.join(layout.ended, os.path.basename(path) + SUFFIX)


def replace(layout: Layout, path: bytes, record: bytes) -> None:
    """Create or replace the record of the upload whose bytes are at `path`. Raise OSError."""
    _write(layout, path + SUFFIX, record)


def create_ended(layout: Layout, path: bytes, record: bytes) -> None:
    """Create the record of an upload that has ended and never had bytes. Raise OSError."""
    _write(layout, ended_path(layout, path), record)


def end(layout: Layout, path: bytes, record: bytes) -> None:
    """Replace the record of an upload that has ended, and move it to the others that have.

    Raise OSError.
    """
    try:
        _write(layout, ended_path(layout, path), record)
        unlink(path + SUFFIX)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _overwrite(layout, path + SUFFIX, record)


def _write(layout: Layout, target: bytes, record: bytes) -> None:
    layout.identity.require()
    descriptor, path = staging.create(layout.staging)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(record)
        if layout.fsync:
            os.fsync(descriptor)
        os.replace(path, target)
        if layout.fsync:
            sync_directory(os.path.dirname(target))
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _overwrite(layout: Layout, path: bytes, record: bytes) -> None:
    """Write the record of an ended upload over the old one, on a disk without space for a new file.

    A power failure may destroy both, and then the upload does not exist; by now it is of no use to
    its client.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if len(record) > status.st_blocks * space.SECTOR:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(descriptor, record.ljust(status.st_size), 0)  # JSON may end with blanks
        if layout.fsync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlink(*paths: bytes) -> None:
    """Remove those of the files that exist, in this order."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
