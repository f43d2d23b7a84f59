"""LocalStore: a directory on a local file system, which is the whole database.

    ROOT/report.pdf               a published file; put there by whatever means, it is served
    ROOT/.fileservice/staging/    files on their way in (see staging)
    ROOT/.fileservice/uploads/    uploads that can be resumed (see uploads)
    ROOT/.fileservice/claims/     which of those another request wants (see uploads)
    ROOT/.fileservice/names       the index of names (see index)
    ROOT/.fileservice/lock        locked while a published name is removed

What is known about a file's content lies in its extended attributes (see attributes).
"""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG

from fileservice.names import BadName, FileName
from fileservice.storage.base import Content, NotFound, Opened, Staged, StoredFile
from fileservice.storage.local import room, staging
from fileservice.storage.local.attributes import describe
from fileservice.storage.local.faults import errors_named, sync_directory
from fileservice.storage.local.index import NameIndex
from fileservice.storage.local.uploads import LocalUploads
from fileservice.storage.local.writer import LocalWriter, Places, remove

_WORTH_RESERVING = 1 << 20
_NOT_LOOKED_AT = Content("application/octet-stream")
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LocalStore:
    """See the module, and `storage.base.Store` for what each call guarantees."""

    remote = False

    def __init__(self, root: Path, *, fsync: bool) -> None:
        self._places = places = Places.under(os.path.abspath(os.fsencode(root)), fsync=fsync)
        self._index = NameIndex(places.root, places.names, places.staging)
        self.uploads = LocalUploads(places)
        with errors_named():
            for directory in (places.staging, places.uploads, places.claims):
                os.makedirs(directory, exist_ok=True)
            self._prove_links()
        self.sweep()

    def _prove_links(self) -> None:
        descriptor, path = staging.create(self._places.staging)
        try:
            os.link(path, path + b"-link")
            os.unlink(path + b"-link")
        finally:
            os.unlink(path)
            os.close(descriptor)  # last: while it is locked, no other process sweeps it

    def check(self) -> None:
        self.free_space()

    def writer(
        self,
        length: int | None = None,
        *,
        meant_for: FileName | None = None,  # noqa: ARG002
        leave: int = 0,
    ) -> LocalWriter:
        with errors_named():
            descriptor, path = staging.create(self._places.staging)
        writer = LocalWriter(self._places, descriptor, path)
        if length and length >= _WORTH_RESERVING:
            try:
                self.make_room(writer, length, leave=leave)
            except BaseException:
                writer.close()
                raise
        return writer

    def open(self, name: FileName, *, whole: bool = False) -> Opened:  # noqa: ARG002
        with errors_named():
            descriptor = self._descriptor(name)
            try:
                return Opened(describe(name, descriptor), os.fdopen(descriptor, "rb", buffering=0))
            except BaseException:
                os.close(descriptor)
                raise

    def direct_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:  # noqa: ARG002
        return None

    def stat(self, name: FileName) -> StoredFile:
        with errors_named():
            descriptor = self._descriptor(name)
            try:
                return describe(name, descriptor)
            finally:
                os.close(descriptor)

    def sync_names(self) -> None:
        if self._places.fsync:
            with errors_named():
                sync_directory(self._places.root)

    def taken(self, name: FileName) -> bool:
        return os.path.lexists(self._places.of(name))

    def delete(self, name: FileName, version: str | None = None) -> None:
        with errors_named():
            descriptor = self._descriptor(name)
            try:
                if version is not None and describe(name, descriptor).version != version:
                    raise NotFound(name)
                remove(self._places.of(name), descriptor, self._places.lock)
            except FileNotFoundError:
                raise NotFound(name) from None
            finally:
                os.close(descriptor)
            if self._places.fsync:
                sync_directory(self._places.root)

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,  # noqa: ARG002
        brief: bool = False,
    ) -> Iterator[StoredFile]:
        past, within = after.encode(), prefix.encode()
        wanted = contains.casefold()
        with errors_named():
            for raw in self._index.names(max(past, within)):
                if not raw.startswith(within):
                    return
                if raw == past:
                    continue
                try:
                    name = FileName.parse_bytes(raw)
                    if name.encode() != raw or wanted not in name.casefold():
                        continue
                    file = self._glance(name, raw) if brief else self.stat(name)
                except (BadName, NotFound):
                    continue  # not a name that can be asked for, or deleted meanwhile
                yield file

    def describe(self, file: StoredFile) -> StoredFile:
        return self.stat(file.name)

    def make_room(self, staged: Staged, size: int, *, ahead: int = 0, leave: int = 0) -> int | None:
        with errors_named(), staged.sight() as descriptor:
            return room.take(self._places.staging, descriptor, size, ahead=ahead, leave=leave)

    def give_room_back(self, staged: Staged) -> None:
        with errors_named(), staged.sight() as descriptor:
            os.ftruncate(descriptor, staged.size)  # frees what is reserved beyond it, too

    def free_space(self) -> int | None:
        with errors_named():
            return room.free(self._places.root)

    def free_files(self) -> int | None:
        with errors_named():
            return room.free_inodes(self._places.root)

    def sweep(self) -> None:
        with errors_named():
            staging.sweep(self._places.staging)

    def _glance(self, name: FileName, raw: bytes) -> StoredFile:
        """What one system call tells of a file."""
        try:
            status = os.stat(b"%s/%s" % (self._places.root, raw), follow_symlinks=False)
        except FileNotFoundError:
            raise NotFound(name) from None
        if not S_ISREG(status.st_mode):
            raise NotFound(name)
        return StoredFile(name, status.st_size, status.st_mtime_ns, _NOT_LOOKED_AT, version="")

    def _descriptor(self, name: FileName) -> int:
        try:
            descriptor = os.open(self._places.of(name), _OPEN_FILE)
        except FileNotFoundError:
            os.stat(self._places.root)  # a root that is gone is a fault, not a missing file
            raise NotFound(name) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
                raise NotFound(name) from None
            if error.errno == errno.EACCES and os.access(self._places.root, os.R_OK | os.X_OK):
                raise NotFound(name) from None  # put there by somebody who keeps it to himself
            raise
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(name)
        return descriptor
