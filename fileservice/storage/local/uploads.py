"""LocalUploads: uploads that outlive connections and processes, as three files each.

    uploads/ID              the bytes, locked (flock) by the one writer while there is one
    uploads/ID.checkpoint   how many of the bytes are on the disk (see checkpoint)
    uploads/ID.json         the record, always replaced whole
    ended/ID.json           the record once the upload has ended (see records)
    claims/ID               somebody asks the writer to let go

An upload exists as long as it has a record.
"""

import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from fileservice.storage.errors import Locked, NoSuchUpload
from fileservice.storage.interface import StoredUpload, UnfinishedUpload, id_of_record
from fileservice.storage.local import checkpoint, locks, records, space
from fileservice.storage.local.errors import sync_directory, translate_errors
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.resumable import LocalResumableWriter

_log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
_CLAIM_SECONDS = 10.0


class LocalUploads:
    """See `storage.base.Uploads`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def create(self, record: bytes, length: int | None, *, leave: int = 0) -> str:
        upload = secrets.token_hex(16)
        path = self._path(upload)
        with translate_errors():
            self._layout.identity.require()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                space.take(self._layout.staging, descriptor, length or 0, leave=leave)
                checkpoint.create(path + checkpoint.SUFFIX, descriptor)
                records.replace(self._layout, path, record)
            except BaseException:
                records.unlink(path + records.RECORD, path, path + checkpoint.SUFFIX)
                raise
            finally:
                os.close(descriptor)
        return upload

    def create_ended(self, record: bytes) -> str:
        upload = id_of_record(record)
        with translate_errors():
            records.create_ended(self._layout, self._path(upload), record)
        return upload

    def read(self, upload: str) -> StoredUpload:
        path = self._path(upload)
        with translate_errors():
            while True:
                record, touched = records.read(self._layout, path)
                try:
                    with open(path, "rb", buffering=0) as file:
                        size = self._synced_size(file.fileno(), path)
                        modified = os.fstat(file.fileno()).st_mtime
                except FileNotFoundError:
                    if records.read(self._layout, path) != (record, touched):
                        continue  # it ended between the two looks
                    return StoredUpload(record, 0, touched)
                return StoredUpload(record, size, max(touched, modified))

    def _synced_size(self, descriptor: int, path: bytes) -> int:
        """How many bytes of the opened file outlast a power cut; what can be synced, is."""
        status = os.fstat(descriptor)
        if not self._layout.fsync or status.st_nlink > 1:  # published: all of it was synced
            return status.st_size
        with checkpoint.locked(path + checkpoint.SUFFIX) as known:
            size = os.fstat(descriptor).st_size
            if size <= known.offset or not known.vouches(descriptor):
                return min(size, known.offset)
            try:
                os.fsync(descriptor)  # they may be from a process that died before it could
                known.advance(size, descriptor)
            except OSError as error:
                _log.warning("bytes of %r could not be synced: %s", os.fsdecode(path), error)
                with suppress(OSError):  # a disk that takes nothing more tells the writer, too
                    known.distrust()
                return known.offset
            return size

    def progress(self, upload: str) -> int:
        with translate_errors():
            try:
                return os.stat(self._path(upload)).st_size
            except FileNotFoundError:
                self._layout.identity.check()
                raise NoSuchUpload from None

    def open(self, upload: str) -> LocalResumableWriter:
        path = self._path(upload)
        with translate_errors():
            self._layout.identity.require()
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NoSuchUpload from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_at(descriptor, path):
                    raise NoSuchUpload  # removed or published between open and flock
                writer = LocalResumableWriter(self._layout, descriptor, path)
                writer.drop_lost()
                return writer
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise Locked from None
                if isinstance(error, FileNotFoundError):  # it is just being removed
                    raise NoSuchUpload from None
                raise

    def remove(self, upload: str) -> None:
        # The record goes first: what has none does not exist, and its bytes are an orphan.
        with translate_errors():
            path = self._path(upload)
            ended = records.ended(self._layout, path)
            records.unlink(path + records.RECORD, ended, path, path + checkpoint.SUFFIX)
            if self._layout.fsync:
                sync_directory(self._layout.uploads)

    def remove_remains(self, upload: str, seconds: float) -> None:
        path, touched = self._path(upload), 0.0
        with translate_errors():
            for part in (path, path + records.RECORD, records.ended(self._layout, path)):
                with suppress(FileNotFoundError):
                    touched = max(touched, os.stat(part).st_mtime)
            if time.time() - touched > seconds:
                self.remove(upload)

    def request_release(self, upload: str) -> None:
        with translate_errors():
            descriptor = os.open(
                self._claim(upload), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644
            )
            try:
                os.utime(descriptor)  # one that a dead process left counts anew
            finally:
                os.close(descriptor)

    def release_requests(self) -> list[str]:
        found = []
        with translate_errors(), os.scandir(os.fsdecode(self._layout.release_requests)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime < _CLAIM_SECONDS:
                        found.append(entry.name)
                    else:
                        os.unlink(entry.path)  # whoever made it is dead
        return found

    def cancel_release_request(self, upload: str) -> None:
        with translate_errors(), suppress(FileNotFoundError):
            os.unlink(self._claim(upload))

    def ids(self) -> Iterator[str]:
        with translate_errors():
            for directory in (self._layout.uploads, self._layout.ended):
                found = {name.partition(".")[0] for name in os.listdir(os.fsdecode(directory))}
                yield from (upload for upload in found if _ID.fullmatch(upload))

    def unfinished(self) -> Iterator[UnfinishedUpload]:
        with translate_errors(), os.scandir(os.fsdecode(self._layout.uploads)) as entries:
            for entry in entries:
                if _ID.fullmatch(entry.name):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield UnfinishedUpload(
                            upload=entry.name,
                            size=status.st_size,
                            held=max(0, status.st_blocks * space.SECTOR - status.st_size),
                            age=time.time() - status.st_mtime,
                        )

    def record(self, upload: str) -> bytes:
        with translate_errors():
            return records.read(self._layout, self._path(upload))[0]

    @contextmanager
    def alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            with translate_errors():
                self._layout.identity.require()  # a store that was read-only may lack the directory
                stack.enter_context(locks.alone(self._layout.uploads))
            yield

    def _path(self, upload: str) -> bytes:
        if not _ID.fullmatch(upload):
            raise NoSuchUpload
        return os.path.join(self._layout.uploads, upload.encode())

    def _claim(self, upload: str) -> bytes:
        return os.path.join(self._layout.release_requests, upload.encode())


def _is_at(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
