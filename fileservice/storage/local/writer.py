"""LocalWriter: a staged file that is published by a hard link, which may replace another file."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from fileservice.names import FileName
from fileservice.storage.errors import NameTaken, NotFound, VersionChanged
from fileservice.storage.files import Content, Owner, StoredFile
from fileservice.storage.local import attributes, writeback
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.expiry_index import ExpiryIndex
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.removal import remove_name
from fileservice.storage.local.replacement import replace_name

_log = logging.getLogger(__name__)

_WRITEBACK_BYTES = 16 << 20


class LocalWriter:
    """Append to the opened file at `path`; see `storage.interface.Writer`."""

    def __init__(
        self,
        layout: Layout,
        expiry_index: ExpiryIndex,
        descriptor: int,
        path: bytes,
        *,
        size: int | None = None,
    ) -> None:
        """`size` is that of the file in bytes, at whose end the next ones are written, if known."""
        self._layout = layout
        self._expiry_index = expiry_index
        self._descriptor = descriptor
        self._path = path
        self.size = os.lseek(descriptor, 0, os.SEEK_END) if size is None else size
        self.replaced: StoredFile | None = None
        self.sync_seconds = 0.0
        self._writeback_offset = self.size
        """Writeback has begun for the bytes before this offset."""

    def write(self, block: bytes | memoryview) -> None:
        with translate_errors(self._path):
            rest = memoryview(block)
            while rest:
                written = os.write(self._descriptor, rest)
                self.size += written
                rest = rest[written:]
            dirty = self.size - self._writeback_offset
            if self._layout.fsync and dirty >= _WRITEBACK_BYTES:
                writeback.begin(self._descriptor, self._writeback_offset, dirty)
                self._writeback_offset = self.size

    def read_at(self, count: int, offset: int) -> bytes:
        with translate_errors(self._path):
            return os.pread(self._descriptor, count, offset)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        yield self._descriptor

    def reopen(self) -> int:
        with translate_errors(self._path):
            # By its descriptor, so that it is this file, whatever has its path.
            return os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)

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
            self._layout.identity.require()
            file = attributes.write(
                name, content, owner, self._descriptor, expires=expires, event=event
            )
            began = time.perf_counter()
            self._sync()
            self.sync_seconds += time.perf_counter() - began
            if expires is not None:
                # Before the file is visible, or a process that dies in between leaves it for ever.
                self._layout.call_blocking(
                    partial(self._expiry_index.add, name, expires, self._descriptor)
                )
            try:
                if replaces is None:
                    self._take_name(name)
                else:
                    self.replaced = replace_name(
                        self._layout,
                        self._expiry_index,
                        name,
                        replaces,
                        self._path,
                        self._descriptor,
                    )
            except (NameTaken, NotFound, VersionChanged):
                if expires is not None:
                    self._expiry_index.discard(expires, self._descriptor)
                raise
            return file

    def _take_name(self, name: FileName) -> None:
        """Give the file its name durably. Raise NameTaken or OSError."""
        linked = self._link(name)
        began = time.perf_counter()
        try:
            self._layout.sync_names()
            self.sync_seconds += time.perf_counter() - began
        except OSError:
            # The name may not be durable. If an earlier call published it, a client may already
            # have the answer that says so.
            if linked:
                remove_name(self._layout, name, self._descriptor)
            raise

    def _link(self, name: FileName) -> bool:
        """Give the file its name; return False if it had that name already."""
        target = self._layout.published(name)
        while True:
            try:
                os.link(self._path, target)
            except FileExistsError:
                pass
            else:
                return True
            with suppress(FileNotFoundError):  # deleted meanwhile, so the name is free
                # The process that linked this very file may have died before it recorded that.
                if os.path.samestat(os.fstat(self._descriptor), os.lstat(target)):
                    return False
                raise NameTaken(name)

    def sync(self) -> None:
        """Return when everything that was written will survive a power failure."""
        with translate_errors(self._path):
            self._sync()

    def _sync(self) -> None:
        if self._layout.fsync:
            # If many files are synced in turn, the first sync then commits all of them.
            writeback.begin(self._descriptor, self._writeback_offset, 0)
            self._layout.call_blocking(partial(os.fsync, self._descriptor))

    def close(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            # The file may be published. What is left is swept once this descriptor is closed.
            _log.warning("a staged file could not be removed: %s", error)
        finally:
            os.close(self._descriptor)
