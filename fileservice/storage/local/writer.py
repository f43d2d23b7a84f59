"""LocalWriter: a staged file that becomes a published one, by a link."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from fileservice.names import FileName
from fileservice.storage.base import Content, NameTaken, StoredFile
from fileservice.storage.local import attributes, locks, writeback
from fileservice.storage.local.faults import errors_named, sync_directory
from fileservice.storage.local.identity import Identity

_log = logging.getLogger(__name__)

_WRITEBACK = 16 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything lies (see store), and whether it has to outlast a power cut."""

    root: bytes
    staging: bytes
    uploads: bytes
    ended: bytes
    claims: bytes
    names: bytes
    fsync: bool
    identity: Identity

    @classmethod
    def under(cls, root: bytes, *, fsync: bool, identity: str | None = None) -> "Places":
        """The places of a store in the directory `root`, of this identity if it is known."""
        private = os.path.join(root, b".fileservice")
        staging, uploads, ended, claims = (
            os.path.join(private, name) for name in (b"staging", b"uploads", b"ended", b"claims")
        )
        return cls(
            root=root,
            staging=staging,
            uploads=uploads,
            ended=ended,
            claims=claims,
            names=os.path.join(private, b"names"),
            fsync=fsync,
            identity=Identity(root, (staging, uploads, ended, claims), identity),
        )

    def of(self, name: FileName) -> bytes:
        """The path of the published file of this name."""
        return os.path.join(self.root, name.encode())

    def remove(self, name: FileName, descriptor: int) -> None:
        """Remove this name if it is one of the opened file. Raises FileNotFoundError.

        Names are removed under one lock, and nobody can publish over a taken name: so between the
        look and the removal the name cannot come to mean another file.
        """
        path = self.of(name)
        with locks.alone(self.root):
            if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                raise FileNotFoundError("the name belongs to another file by now")
            os.unlink(path)


class LocalWriter:
    """See `storage.base.Writer`; appends to the opened file at `path`."""

    def __init__(self, places: Places, descriptor: int, path: bytes) -> None:
        self._places = places
        self._descriptor = descriptor
        self._path = path
        self.size = os.lseek(descriptor, 0, os.SEEK_END)
        self._begun = self.size
        """Up to where writeback has begun."""

    def write(self, block: bytes | memoryview) -> None:
        with errors_named(self._path):
            rest = memoryview(block)
            while rest:
                written = os.write(self._descriptor, rest)
                self.size += written
                rest = rest[written:]
            if self._places.fsync and self.size - self._begun >= _WRITEBACK:
                writeback.begin(self._descriptor, self._begun, self.size - self._begun)
                self._begun = self.size

    def read_at(self, count: int, offset: int) -> bytes:
        with errors_named(self._path):
            return os.pread(self._descriptor, count, offset)

    @contextmanager
    def sight(self) -> Iterator[int]:
        yield self._descriptor

    def publish(self, name: FileName, content: Content) -> StoredFile:
        target = self._places.of(name)
        with errors_named(self._path):
            self._places.identity.require()
            attributes.record(content, self._descriptor)
            self.sync()
            linked = self._link(target, name)
            if self._places.fsync:
                try:
                    sync_directory(self._places.root)
                except OSError:
                    if linked:  # else it may have been answered for
                        self._places.remove(name, self._descriptor)  # it may not last
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
        with errors_named(self._path):
            if self._places.fsync:
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
