"""The record of an upload, a file that is always replaced whole.

That of one that has ended lies in a directory of its own: whoever counts the others, as each
creation does, need not look at the many that ended lately.
"""

import errno
import os
from contextlib import suppress

from fileservice.storage.base import NoSuchUpload
from fileservice.storage.local import room, staging
from fileservice.storage.local.faults import sync_directory
from fileservice.storage.local.writer import Places

RECORD = b".json"


def read(places: Places, path: bytes) -> tuple[bytes, float]:
    """The record of the upload whose bytes are at `path`, and when it was written (Unix seconds).

    Raises NoSuchUpload.
    """
    for place in (path + RECORD, ended(places, path)):
        with suppress(FileNotFoundError), open(place, "rb", buffering=0) as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    places.identity.check()
    raise NoSuchUpload


def ended(places: Places, path: bytes) -> bytes:
    """Where the record lies when the upload has ended whose bytes were at `path`."""
    return os.path.join(places.ended, os.path.basename(path) + RECORD)


def replace(places: Places, path: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes are at `path`."""
    _put(places, path + RECORD, record)


def end(places: Places, path: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes were at `path`, which has ended."""
    try:
        _put(places, ended(places, path), record)
        unlink(path + RECORD)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _overwrite(places, path + RECORD, record)


def _put(places: Places, place: bytes, record: bytes) -> None:
    places.identity.require()
    descriptor, path = staging.create(places.staging)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(record)
        if places.fsync:
            os.fsync(descriptor)
        os.replace(path, place)
        if places.fsync:
            sync_directory(os.path.dirname(place))
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _overwrite(places: Places, place: bytes, record: bytes) -> None:
    """Keep the record of an upload that ends where a disk has no room for another file.

    It is written where the one before lies. A power cut may leave neither, and so an upload that
    there never was; by then it must be of no more use.
    """
    descriptor = os.open(place, os.O_WRONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if len(record) > status.st_blocks * room.SECTOR:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(descriptor, record.ljust(status.st_size), 0)  # JSON may have blanks at its end
        if places.fsync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlink(*paths: bytes) -> None:
    """Remove those of the files that are there, one after the other."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
