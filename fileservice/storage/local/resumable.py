"""LocalResumableWriter: the lock of a resumable upload, and the way to write to it."""

import errno
import os
from contextlib import AbstractContextManager, suppress

from fileservice.names import FileName
from fileservice.storage.files import PREALLOCATION, Content, Owner, StoredFile
from fileservice.storage.local import checkpoint, records, space
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.writer import LocalWriter


class LocalResumableWriter(LocalWriter):
    """Append to an upload whose file is locked; see `storage.interface.ResumableWriter`."""

    _ended = False

    def drop_unverified(self) -> None:
        """Drop bytes that may not be those that were written; see checkpoint. Raise OSError."""
        if not self._layout.fsync or self._is_published():
            return
        with self._checkpoint() as saved:
            if not saved.is_page_cache_known(self._descriptor):
                self._truncate_to(saved)

    def publish(
        self,
        name: FileName,
        content: Content,
        owner: Owner | None = None,
        *,
        replaces: str | None = None,
        expires: int | None = None,
        event: str = "",
    ) -> StoredFile:
        with translate_errors(self._path):
            status = os.fstat(self._descriptor)
            if space.reserved(status) > PREALLOCATION and not self._is_published():
                # A process that died had reserved space ahead, for an unknown length.
                os.ftruncate(self._descriptor, status.st_size)
        return super().publish(
            name, content, owner, replaces=replaces, expires=expires, event=event
        )

    def truncate(self, size: int) -> None:
        with translate_errors(self._path):
            if self._layout.fsync:
                with self._checkpoint() as saved:
                    if not saved.is_page_cache_known(self._descriptor):
                        self._truncate_to(saved)
                    saved.lower(size, self._descriptor)
            self._resize(min(size, self.size))
        self.sync()

    def sync(self) -> None:
        """Return when everything that was written will survive a power failure.

        If this fails, drop what was written since it last succeeded: no later fsync would report
        whether those bytes are on the disk. Raise StorageFull or StorageUnavailable.
        """
        if not self._layout.fsync or self._ended:
            return
        if self._is_published():
            super().sync()
            return
        with translate_errors(self._path), self._checkpoint() as saved:
            try:
                if not saved.is_page_cache_known(self._descriptor):
                    raise OSError(errno.EIO, "bytes could not be written to the disk")
                os.fsync(self._descriptor)
                saved.advance(self.size, self._descriptor)
            except OSError:
                with suppress(OSError):  # for other processes, in case truncating fails as well
                    saved.forget_page_cache()
                self._truncate_to(saved)
                raise

    def _is_published(self) -> bool:
        """Return whether the file has a name already, though the record does not say so."""
        return os.fstat(self._descriptor).st_nlink > 1

    def _checkpoint(self) -> AbstractContextManager[checkpoint.Checkpoint]:
        return checkpoint.locked(self._path + checkpoint.SUFFIX)

    def _truncate_to(self, saved: checkpoint.Checkpoint) -> None:
        self._resize(min(self.size, saved.offset))
        saved.renew(self._descriptor)

    def _resize(self, size: int) -> None:
        allocated = os.fstat(self._descriptor).st_blocks * space.SECTOR
        os.ftruncate(self._descriptor, size)
        with suppress(OSError):  # ftruncate also released what was reserved beyond the size
            space.allocate(self._descriptor, allocated)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self.size = self._writeback_offset = size

    def update(self, record: bytes, length: int | None = None) -> None:
        with translate_errors(self._path):
            space.allocate(self._descriptor, length or 0)
            records.replace(self._layout, self._path, record)

    def end(self, record: bytes) -> None:
        with translate_errors(self._path):
            records.end(self._layout, self._path, record)
            self._ended = True
            records.unlink(self._path, self._path + checkpoint.SUFFIX)

    def close(self) -> None:
        os.close(self._descriptor)
