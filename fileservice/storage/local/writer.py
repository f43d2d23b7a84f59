"""LocalWriter: a staged file that becomes a published one, by a link."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from fileservice.names import FileName
from fileservice.storage.errors import NameTaken
from fileservice.storage.files import Content, StoredFile
from fileservice.storage.local import attributes, writeback
from fileservice.storage.local.errors import sync_directory, translate_errors
from fileservice.storage.local.layout import Layout

_log = logging.getLogger(__name__)

_WRITEBACK = 16 << 20


class LocalWriter:
    """See `storage.interface.Writer`; appends to the opened file at `path`."""

    def __init__(self, layout: Layout, descriptor: int, path: bytes) -> None:
        self._layout = layout
        self._descriptor = descriptor
        self._path = path
        self.size = os.lseek(descriptor, 0, os.SEEK_END)
        self._begun = self.size
        """Up to where writeback has begun."""

    def write(self, block: bytes | memoryview) -> None:
        with translate_errors(self._path):
            rest = memoryview(block)
            while rest:
                written = os.write(self._descriptor, rest)
                self.size += written
                rest = rest[written:]
            if self._layout.fsync and self.size - self._begun >= _WRITEBACK:
                writeback.begin(self._descriptor, self._begun, self.size - self._begun)
                self._begun = self.size

    def read_at(self, count: int, offset: int) -> bytes:
        with translate_errors(self._path):
            return os.pread(self._descriptor, count, offset)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        yield self._descriptor

    def publish(self, name: FileName, content: Content) -> StoredFile:
        target = self._layout.of(name)
        with translate_errors(self._path):
            self._layout.identity.require()
            attributes.record(content, self._descriptor)
            self.sync()
            linked = self._link(target, name)
            if self._layout.fsync:
                try:
                    sync_directory(self._layout.root)
                except OSError:
                    if linked:  # else it may have been answered for
                        self._layout.remove(name, self._descriptor)  # it may not last
                    raise
            return replace(attributes.describe(name, self._descriptor), content=content)

    def _link(self, target: bytes, name: FileName) -> bool:
        """Give the file its name; whether it had it not."""
        while True:
            with suppress(FileExistsError):
                os.link(self._path, target)
                return True
            with suppress(FileNotFoundError):  # deleted meanwhile: the name is free
                # A process may have died between this very link and its answer.
                if os.path.samestat(os.fstat(self._descriptor), os.lstat(target)):
                    return False
                raise NameTaken(name)

    def sync(self) -> None:
        """Return when all that was written will outlast a power cut."""
        with translate_errors(self._path):
            if self._layout.fsync:
                os.fsync(self._descriptor)

    def close(self) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        except OSError as error:
            # The file may be published; what stays behind is swept once this descriptor is closed.
            _log.warning("a staged file could not be removed: %s", error)
        finally:
            os.close(self._descriptor)
