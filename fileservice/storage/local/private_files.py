"""Small files of the service itself, which only its user may read."""

import os
from contextlib import suppress

from fileservice.storage.local import staging
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.layout import Layout

_DIRECTORY_MODE = 0o700
_MODE = 0o600


class LocalPrivateFiles:
    """Files in the directory `.fileservice` of a store; see `interface.PrivateFiles`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read(self, key: str) -> bytes | None:
        with translate_errors(self._layout.root):
            return self._read(self._layout.private(key))

    def create(self, key: str, data: bytes) -> bytes:
        path = self._layout.private(key)
        with translate_errors(self._layout.root):
            existing = self._read(path)
            if existing is not None:
                return existing
            self._layout.identity.require()
            self._create(path, data)
            created = self._read(path)
        return data if created is None else created  # another process may have removed it

    def exists(self, key: str, *, max_age: float = 0.0) -> bool:  # noqa: ARG002
        path = self._layout.private(key)
        with translate_errors(self._layout.root):
            if os.path.lexists(path):
                return True
            self._layout.identity.check()  # the whole store may be missing, which is a fault
            return False

    def list(self, folder: str) -> list[str]:
        with translate_errors(self._layout.root):
            try:
                return [os.fsdecode(name) for name in os.listdir(self._layout.private(folder))]
            except FileNotFoundError:
                self._layout.identity.check()
                return []

    def remove(self, key: str) -> None:
        path = self._layout.private(key)
        with translate_errors(self._layout.root), suppress(FileNotFoundError):
            os.unlink(path)

    def _read(self, path: bytes) -> bytes | None:
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            self._layout.identity.check()
            return None

    def _create(self, path: bytes, data: bytes) -> None:
        """Create the file durably. If several processes do so at once, one of them succeeds."""
        directory = os.path.dirname(path)
        with suppress(FileExistsError):
            os.mkdir(directory, _DIRECTORY_MODE)
        descriptor, staged = staging.create(self._layout.staging)
        try:
            os.fchmod(descriptor, _MODE)  # before it has any content
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(staged, path)
        finally:
            os.unlink(staged)
            os.close(descriptor)
        sync_directory(directory)
        sync_directory(os.path.dirname(directory))
