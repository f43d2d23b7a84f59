"""LocalExpiredFiles: removes files whose time is over.

Whoever reads such a file goes on reading: the kernel keeps the bytes of an open file.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from fileservice.names import FileName
from fileservice.storage.errors import NotFound, StorageUnavailable
from fileservice.storage.files import StoredFile
from fileservice.storage.local import attributes, published
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.expiry_index import ExpiryIndex
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.removal import remove_name

_STALE_SECONDS = 3600.0
"""An entry of the index is made before its file is visible, which must be so long after this."""


class LocalExpiredFiles:
    """See `storage.interface.ExpiredFiles`; `clock` returns seconds since the Unix epoch."""

    def __init__(self, layout: Layout, index: ExpiryIndex, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._index = index
        self._clock = clock

    def due(self) -> Iterator[StoredFile]:
        now = self._clock()
        unreadable: StorageUnavailable | None = None
        with translate_errors(self._layout.expiry):
            self._layout.identity.check()
            for entry in self._index.entries(now):
                try:
                    file = self.find(entry.name)
                except NotFound:
                    if entry.expires < now - _STALE_SECONDS:
                        with suppress(FileNotFoundError):
                            os.unlink(entry.path)
                except StorageUnavailable as error:
                    unreadable = error  # the others are looked at before anybody is told
                else:
                    yield file
            self._index.remove_empty_hours(before=now - _STALE_SECONDS)
        if unreadable:
            raise unreadable

    def find(self, name: FileName) -> StoredFile:
        with translate_errors():
            descriptor = published.open_file(self._layout, name)
            try:
                return self._describe_expired(name, descriptor)
            finally:
                os.close(descriptor)

    def remove(self, file: StoredFile) -> StoredFile:
        with translate_errors(self._layout.root):
            self._layout.identity.check()
            descriptor = published.open_file(self._layout, file.name)
            try:
                current = self._describe_expired(file.name, descriptor)
                if (current.version, current.expires) != (file.version, file.expires):
                    raise NotFound(file.name)
                remove_name(self._layout, file.name, descriptor)
                self._layout.sync_names()
                assert current.expires is not None
                self._index.discard(current.expires, descriptor)
            except FileNotFoundError:
                raise NotFound(file.name) from None
            finally:
                os.close(descriptor)
        return current

    def _describe_expired(self, name: FileName, descriptor: int) -> StoredFile:
        file = attributes.read(name, descriptor)
        if not file.has_expired(self._clock()):
            raise NotFound(name)
        return file
