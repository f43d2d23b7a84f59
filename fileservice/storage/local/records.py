"""The record of an unfinished upload, a file that is always replaced whole."""

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
    try:
        descriptor = os.open(path + RECORD, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        places.identity.check()
        raise NoSuchUpload from None
    with open(descriptor, "rb") as file:
        return file.read(), os.fstat(descriptor).st_mtime


def replace(places: Places, upload: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes are at the path `upload`."""
    places.identity.require()
    descriptor, path = staging.create(places.staging)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(record)
        if places.fsync:
            os.fsync(descriptor)
        os.replace(path, upload + RECORD)
        if places.fsync:
            sync_directory(places.uploads)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def overwrite(places: Places, upload: bytes, record: bytes) -> None:
    """Have `record` be that of an upload that ends where a disk has no room for another file.

    It is written where the one before lies. A power cut may leave neither, and so an upload that
    there never was; by then it must be of no more use.
    """
    descriptor = os.open(upload + RECORD, os.O_WRONLY | os.O_CLOEXEC)
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
