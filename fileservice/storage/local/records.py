"""The record of an upload, a file that is always replaced whole.

That of one that has ended lies in a directory of its own: whoever counts the others, as each
creation does, need not look at the many that ended lately.
"""

import errno
import os
from contextlib import suppress

from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.local import space, staging
from fileservice.storage.local.errors import sync_directory
from fileservice.storage.local.layout import Layout

RECORD = b".json"


def read(layout: Layout, path: bytes) -> tuple[bytes, float]:
    """The record of the upload whose bytes are at `path`, and when it was written (Unix seconds).

    Raises NoSuchUpload.
    """
    for place in (path + RECORD, ended(layout, path)):
        with suppress(FileNotFoundError), open(place, "rb", buffering=0) as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    layout.identity.check()
    raise NoSuchUpload


def ended(layout: Layout, path: bytes) -> bytes:
    """Where the record lies when the upload has ended whose bytes were at `path`."""
    return os.path.join(layout.ended, os.path.basename(path) + RECORD)


def replace(layout: Layout, path: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes are at `path`."""
    _put(layout, path + RECORD, record)


def create_ended(layout: Layout, path: bytes, record: bytes) -> None:
    """Have `record` be that of an upload that never had bytes at `path`, and has ended."""
    _put(layout, ended(layout, path), record)


def end(layout: Layout, path: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes were at `path`, which has ended."""
    try:
        _put(layout, ended(layout, path), record)
        unlink(path + RECORD)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _overwrite(layout, path + RECORD, record)


def _put(layout: Layout, place: bytes, record: bytes) -> None:
    layout.identity.require()
    descriptor, path = staging.create(layout.staging)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(record)
        if layout.fsync:
            os.fsync(descriptor)
        os.replace(path, place)
        if layout.fsync:
            sync_directory(os.path.dirname(place))
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _overwrite(layout: Layout, place: bytes, record: bytes) -> None:
    """Keep the record of an upload that ends where a disk has no room for another file.

    It is written where the one before lies. A power cut may leave neither, and so an upload that
    there never was; by then it must be of no more use.
    """
    descriptor = os.open(place, os.O_WRONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if len(record) > status.st_blocks * space.SECTOR:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(descriptor, record.ljust(status.st_size), 0)  # JSON may have blanks at its end
        if layout.fsync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlink(*paths: bytes) -> None:
    """Remove those of the files that are there, one after the other."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
