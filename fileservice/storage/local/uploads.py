"""LocalUploads: uploads that outlive connections and processes, as two files each.

    uploads/ID         the bytes, locked (flock) by the one writer while there is one
    uploads/ID.json    the record, always replaced whole
    claims/ID          somebody asks the writer to let go

The offset is the size of the bytes' file and is written down nowhere else, so the two can never
contradict each other.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress

from fileservice.storage.base import Kept, Locked, NoSuchUpload
from fileservice.storage.local import staging, writeback
from fileservice.storage.local.faults import errors_named, sync_directory
from fileservice.storage.local.writer import LocalWriter, Places

_ID = re.compile(r"[0-9a-f]{32}")
_RECORD = b".json"
_SECTOR = 512
"""What st_blocks counts in, in bytes (stat(2))."""
_CLAIM_SECONDS = 10.0


class LocalUploads:
    """See `storage.base.Uploads`."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def create(self, record: bytes, length: int | None) -> str:
        upload = secrets.token_hex(16)
        path = self._path(upload)
        with errors_named():
            self._places.identity.require()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                writeback.reserve(descriptor, length or 0)
                _replace_record(self._places, path, record)
            except BaseException:
                os.unlink(path)
                with suppress(FileNotFoundError):
                    os.unlink(path + _RECORD)
                raise
            finally:
                os.close(descriptor)
        return upload

    def read(self, upload: str) -> Kept:
        path = self._path(upload)
        with errors_named():
            try:
                descriptor = os.open(path + _RECORD, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._places.identity.check()
                raise NoSuchUpload from None
            with open(descriptor, "rb") as file:
                record, touched = file.read(), os.fstat(descriptor).st_mtime
            size = 0
            with suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    status = os.fstat(descriptor)
                    size, touched = status.st_size, max(touched, status.st_mtime)
                    if self._places.fsync:
                        os.fsync(descriptor)  # they may be from a process that died before it could
                finally:
                    os.close(descriptor)
            return Kept(record, size, touched)

    def progress(self, upload: str) -> int:
        with errors_named():
            try:
                return os.stat(self._path(upload)).st_size
            except FileNotFoundError:
                self._places.identity.check()
                raise NoSuchUpload from None

    def open(self, upload: str) -> "LocalResumableWriter":
        path = self._path(upload)
        with errors_named():
            self._places.identity.require()
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NoSuchUpload from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_at(descriptor, path):
                    raise NoSuchUpload  # removed or published between open and flock
                return LocalResumableWriter(self._places, descriptor, path)
            except BlockingIOError:
                os.close(descriptor)
                raise Locked from None
            except BaseException:
                os.close(descriptor)
                raise

    def remove(self, upload: str) -> None:
        # The record goes first: what has none does not exist, and its bytes are an orphan.
        with errors_named():
            with suppress(FileNotFoundError):
                os.unlink(self._path(upload) + _RECORD)
            with suppress(FileNotFoundError):
                os.unlink(self._path(upload))
            if self._places.fsync:
                sync_directory(self._places.uploads)

    def remove_remains(self, upload: str, seconds: float) -> None:
        path, touched = self._path(upload), 0.0
        with errors_named():
            for part in (path, path + _RECORD):
                with suppress(FileNotFoundError):
                    touched = max(touched, os.stat(part).st_mtime)
            if time.time() - touched > seconds:
                self.remove(upload)

    def claim(self, upload: str) -> None:
        with errors_named():
            descriptor = os.open(
                self._claim(upload), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644
            )
            try:
                os.utime(descriptor)  # one that a dead process left counts anew
            finally:
                os.close(descriptor)

    def claims(self) -> list[str]:
        found = []
        with errors_named(), os.scandir(os.fsdecode(self._places.claims)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime < _CLAIM_SECONDS:
                        found.append(entry.name)
                    else:
                        os.unlink(entry.path)  # whoever made it is dead
        return found

    def withdraw(self, upload: str) -> None:
        with errors_named(), suppress(FileNotFoundError):
            os.unlink(self._claim(upload))

    def ids(self) -> Iterator[str]:
        with errors_named(), os.scandir(os.fsdecode(self._places.uploads)) as entries:
            found = {entry.name.removesuffix(_RECORD.decode()) for entry in entries}
        yield from (upload for upload in found if _ID.fullmatch(upload))

    def _path(self, upload: str) -> bytes:
        if not _ID.fullmatch(upload):
            raise NoSuchUpload
        return os.path.join(self._places.uploads, upload.encode())

    def _claim(self, upload: str) -> bytes:
        return os.path.join(self._places.claims, upload.encode())


def _is_at(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _replace_record(places: Places, upload: bytes, record: bytes) -> None:
    """Have `record` be that of the upload whose bytes are at the path `upload`."""
    places.identity.require()
    descriptor, path = staging.create(places.staging)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(record)
        if places.fsync:
            os.fsync(descriptor)
        os.replace(path, upload + _RECORD)
        if places.fsync:
            sync_directory(places.uploads)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


class LocalResumableWriter(LocalWriter):
    """See `storage.base.ResumableWriter`."""

    def truncate(self, size: int) -> None:
        with errors_named():
            taken = os.fstat(self._descriptor).st_blocks * _SECTOR
            os.ftruncate(self._descriptor, size)
            with suppress(OSError):  # which gave back what was reserved beyond it, too
                writeback.reserve(self._descriptor, taken)
            os.lseek(self._descriptor, size, os.SEEK_SET)
            self.size = self._begun = size
        self.sync()

    def update(self, record: bytes, length: int | None = None) -> None:
        with errors_named():
            writeback.reserve(self._descriptor, length or 0)
            _replace_record(self._places, self._path, record)

    def end(self, record: bytes) -> None:
        self.update(record)
        with errors_named(), suppress(FileNotFoundError):
            os.unlink(self._path)

    def close(self) -> None:
        os.close(self._descriptor)
