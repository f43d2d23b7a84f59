"""LocalResumableWriter: the one writer of an unfinished upload."""

import errno
import os
from contextlib import AbstractContextManager, suppress

from fileservice.names import FileName
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.local import checkpoint, records, space, writeback
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.writer import LocalWriter

_MUCH = 64 * 1024
"""A file system may hold up to so many bytes for a file for reasons of its own."""


class LocalResumableWriter(LocalWriter):
    """See `storage.interface.ResumableWriter`."""

    _ended = False

    def drop_lost(self) -> None:
        """Drop bytes that may not be those that were written; see checkpoint."""
        if not self._layout.fsync or self._is_published():
            return
        with self._checkpoint() as known:
            if not known.vouches(self._descriptor):
                self._cut(known)

    def publish(self, name: FileName, content: Content) -> StoredFile:
        with translate_errors(self._path):
            status = os.fstat(self._descriptor)
            held = status.st_blocks * space.SECTOR - status.st_size
            if held > _MUCH and not self._is_published():
                # A process that died took room ahead of bytes that it could not say the number of.
                os.ftruncate(self._descriptor, status.st_size)
        return super().publish(name, content)

    def truncate(self, size: int) -> None:
        with translate_errors(self._path):
            if self._layout.fsync:
                with self._checkpoint() as known:
                    if not known.vouches(self._descriptor):
                        self._cut(known)
                    known.lower(size, self._descriptor)
            self._resize(min(size, self.size))
        self.sync()

    def sync(self) -> None:
        """Return when all that was written will outlast a power cut.

        When it cannot be synced, what was written since the last success is dropped: whether it
        is on the disk, no later fsync would tell. Raises StorageFull, StorageUnavailable.
        """
        if not self._layout.fsync or self._ended:
            return
        if self._is_published():
            super().sync()
            return
        with translate_errors(self._path), self._checkpoint() as known:
            try:
                if not known.vouches(self._descriptor):
                    raise OSError(errno.EIO, "bytes could not be written to the disk")
                os.fsync(self._descriptor)
                known.advance(self.size, self._descriptor)
            except OSError:
                with suppress(OSError):  # for others, if it cannot be dropped either
                    known.distrust()
                self._cut(known)
                raise

    def _is_published(self) -> bool:
        """Whether a name was given to the bytes, and only the record does not say so: no cut."""
        return os.fstat(self._descriptor).st_nlink > 1

    def _checkpoint(self) -> AbstractContextManager[checkpoint.Checkpoint]:
        return checkpoint.locked(self._path + checkpoint.SUFFIX)

    def _cut(self, known: checkpoint.Checkpoint) -> None:
        self._resize(min(self.size, known.offset))
        known.renew(self._descriptor)

    def _resize(self, size: int) -> None:
        taken = os.fstat(self._descriptor).st_blocks * space.SECTOR
        os.ftruncate(self._descriptor, size)
        with suppress(OSError):  # which gave back what was reserved beyond it, too
            writeback.reserve(self._descriptor, taken)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self.size = self._begun = size

    def update(self, record: bytes, length: int | None = None) -> None:
        with translate_errors(self._path):
            writeback.reserve(self._descriptor, length or 0)
            records.replace(self._layout, self._path, record)

    def end(self, record: bytes) -> None:
        with translate_errors(self._path):
            records.end(self._layout, self._path, record)
            self._ended = True
            records.unlink(self._path, self._path + checkpoint.SUFFIX)

    def close(self) -> None:
        os.close(self._descriptor)
