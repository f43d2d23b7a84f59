"""LocalUploads: the bytes and the records of resumable uploads.

    uploads/ID              the bytes, locked (flock) by their writer (see locker)
    uploads/ID.checkpoint   how many of the bytes are on the disk (see checkpoint)
    uploads/ID.json         the record, replaced as a whole (see records)
    ended/ID.json           the record once the upload has ended

An upload exists as long as it has a record.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.files import StoredUpload, UnfinishedUpload, id_of_record
from fileservice.storage.local import checkpoint, permissions, records, space
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.layout import UPLOAD_ID, Layout

_log = logging.getLogger(__name__)


class LocalUploads:
    """See `storage.interface.Uploads`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def create(self, record: bytes, length: int | None, *, min_free: int = 0) -> str:
        upload = secrets.token_hex(16)
        path = self._layout.upload(upload)
        with translate_errors():
            self._layout.identity.require()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(path, flags, permissions.PUBLISHED)
            try:
                space.reserve(self._layout.staging, descriptor, length or 0, min_free=min_free)
                checkpoint.create(path + checkpoint.SUFFIX, descriptor)
                records.replace(self._layout, path, record)
            except BaseException:
                records.unlink(path + records.SUFFIX, path, path + checkpoint.SUFFIX)
                raise
            finally:
                os.close(descriptor)
        return upload

    def create_ended(self, record: bytes) -> str:
        upload = id_of_record(record)
        with translate_errors():
            records.create_ended(self._layout, self._layout.upload(upload), record)
        return upload

    def read(self, upload: str, is_wanted: Callable[[bytes], bool] | None = None) -> StoredUpload:
        path = self._layout.upload(upload)
        with translate_errors():
            while True:
                record, record_modified = records.read(self._layout, path)
                if is_wanted and not is_wanted(record):
                    raise NoSuchUpload
                try:
                    with open(path, "rb", buffering=0) as file:
                        size = self._durable_size(file.fileno(), path)
                        modified = os.fstat(file.fileno()).st_mtime
                except FileNotFoundError:
                    if records.read(self._layout, path) != (record, record_modified):
                        continue  # the upload ended between the two calls
                    return StoredUpload(record, 0, record_modified)
                return StoredUpload(record, size, max(record_modified, modified))

    def read_record(self, upload: str) -> bytes:
        with translate_errors():
            return records.read(self._layout, self._layout.upload(upload))[0]

    def bytes_written(self, upload: str) -> int:
        with translate_errors():
            try:
                return os.stat(self._layout.upload(upload)).st_size
            except FileNotFoundError:
                self._layout.identity.check()
                raise NoSuchUpload from None

    def list_ids(self) -> Iterator[str]:
        with translate_errors():
            for directory in (self._layout.uploads, self._layout.ended):
                ids = {name.partition(".")[0] for name in os.listdir(os.fsdecode(directory))}
                yield from (upload for upload in ids if UPLOAD_ID.fullmatch(upload))

    def list_unfinished(self) -> Iterator[UnfinishedUpload]:
        with translate_errors(), os.scandir(os.fsdecode(self._layout.uploads)) as entries:
            for entry in entries:
                if UPLOAD_ID.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield UnfinishedUpload(
                            upload=entry.name,
                            size=status.st_size,
                            reserved=space.reserved(status),
                            modified=status.st_mtime,
                        )

    def remove(self, upload: str) -> None:
        # The record is removed first: bytes without a record do not count as an upload.
        with translate_errors():
            path = self._layout.upload(upload)
            ended = records.ended_path(self._layout, path)
            records.unlink(path + records.SUFFIX, ended, path, path + checkpoint.SUFFIX)
            if self._layout.fsync:
                sync_directory(self._layout.uploads)

    def remove_unreadable(self, upload: str, min_idle: float) -> None:
        path, modified = self._layout.upload(upload), 0.0
        with translate_errors():
            ended = records.ended_path(self._layout, path)
            for part in (path, path + records.SUFFIX, ended):
                with suppress(FileNotFoundError):
                    modified = max(modified, os.stat(part).st_mtime)
            if time.time() - modified > min_idle:
                self.remove(upload)

    def _durable_size(self, descriptor: int, path: bytes) -> int:
        """Return how many bytes of the file survive a power failure, after an attempt to sync."""
        status = os.fstat(descriptor)
        if not self._layout.fsync or status.st_nlink > 1:  # all of a published file was synced
            return status.st_size
        with checkpoint.locked(path + checkpoint.SUFFIX) as saved:
            size = os.fstat(descriptor).st_size
            if size <= saved.offset or not saved.is_page_cache_known(descriptor):
                return min(size, saved.offset)
            try:
                os.fsync(descriptor)  # the process that wrote them may have died before its sync
                saved.advance(size, descriptor)
            except OSError as error:
                _log.warning("bytes of %r could not be synced: %s", os.fsdecode(path), error)
                with suppress(OSError):  # if this fails, the writer gets an error as well
                    saved.forget_page_cache()
                return saved.offset
            return size
