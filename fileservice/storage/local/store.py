"""LocalStore: a directory on a local file system, which is the whole database.

    ROOT/report.pdf               a published file; put there by whatever means, it is served
    ROOT/.fileservice/staging/    files on their way in (see staging)
    ROOT/.fileservice/uploads/    uploads that can be resumed (see uploads)
    ROOT/.fileservice/ended/      how those ended that did lately (see records)
    ROOT/.fileservice/release-requests/  whose locks are asked for (see locker)
    ROOT/.fileservice/names       the index of names (see index)
    ROOT/.fileservice/identity    which store this is (see identity)

What is known about a file's content lies in its extended attributes (see attributes). Reading,
listing and deleting need no room, so they work on a disk that is full or has no inodes left.
"""

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG

from fileservice.names import BadName, FileName
from fileservice.storage.errors import NotFound, StorageError, describe_error
from fileservice.storage.files import Content, Opened, StoredFile
from fileservice.storage.interface import StagedFile
from fileservice.storage.local import foreign_files, space, staging
from fileservice.storage.local.attributes import describe
from fileservice.storage.local.errors import sync_directory, translate_errors
from fileservice.storage.local.index import NameIndex
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.locker import LocalLocker
from fileservice.storage.local.uploads import LocalUploads
from fileservice.storage.local.verify import verify
from fileservice.storage.local.writer import LocalWriter

_log = logging.getLogger(__name__)
_WORTH_RESERVING = 1 << 20
_NOT_LOOKED_AT = Content("application/octet-stream")
_PROBE = bytes(4096)
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LocalStore:
    """See the module, and `storage.interface.Store` for what each call guarantees."""

    remote = False

    def __init__(
        self, root: Path, *, fsync: bool, verified: bool = False, identity: str | None = None
    ) -> None:
        """The store in `root`, which must have this `identity`, if that is known.

        One that is `proved` need not be there, nor work, at this moment. Raises StorageError.
        """
        self._layout = layout = layout_of(root, fsync=fsync, identity=identity)
        self._index = NameIndex(layout.root, layout.names, layout.staging)
        self.uploads = LocalUploads(layout)
        self.locker = LocalLocker(layout)
        if not verified:
            for level, line in verify(layout).messages:
                _log.log(level, line)
        try:
            self.sweep()
        except StorageError as error:
            _log.warning("the store could not be swept at the start: %s", describe_error(error))

    def check(self) -> None:
        # Without a sync: it would wait behind those of all uploads.
        with translate_errors(self._layout.root):
            self._layout.identity.require()
            descriptor, path = staging.create(self._layout.staging)
            try:
                os.write(descriptor, _PROBE)
            finally:
                try:
                    os.unlink(path)
                finally:
                    os.close(descriptor)

    def writer(
        self,
        length: int | None = None,
        *,
        stream_to: FileName | None = None,  # noqa: ARG002
        min_free: int = 0,
    ) -> LocalWriter:
        with translate_errors():
            self._layout.identity.require()
            descriptor, path = staging.create(self._layout.staging)
        writer = LocalWriter(self._layout, descriptor, path)
        if length and length >= _WORTH_RESERVING:
            try:
                self.reserve_space(writer, length, min_free=min_free)
            except BaseException:
                writer.close()
                raise
        return writer

    def open(self, name: FileName, *, sequential: bool = False) -> Opened:  # noqa: ARG002
        with translate_errors():
            descriptor = self._descriptor(name)
            try:
                return Opened(describe(name, descriptor), os.fdopen(descriptor, "rb", buffering=0))
            except BaseException:
                os.close(descriptor)
                raise

    def presigned_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:  # noqa: ARG002
        return None

    def stat(self, name: FileName) -> StoredFile:
        with translate_errors():
            descriptor = self._descriptor(name)
            try:
                return describe(name, descriptor)
            finally:
                os.close(descriptor)

    def sync_names(self) -> None:
        if self._layout.fsync:
            with translate_errors():
                sync_directory(self._layout.root)

    def is_taken(self, name: FileName) -> bool:
        return os.path.lexists(self._layout.of(name))

    def delete(self, name: FileName, version: str | None = None) -> None:
        with translate_errors(self._layout.root):
            self._layout.identity.check()
            descriptor = self._descriptor(name)
            try:
                if version is not None and describe(name, descriptor).version != version:
                    raise NotFound(name)
                self._layout.remove(name, descriptor)
            except FileNotFoundError:
                raise NotFound(name) from None
            finally:
                os.close(descriptor)
            if self._layout.fsync:
                sync_directory(self._layout.root)

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
        with translate_errors(self._layout.root):
            self._layout.identity.check()
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

    def reserve_space(
        self, staged: StagedFile, size: int, *, ahead: int = 0, min_free: int = 0
    ) -> int | None:
        with translate_errors(), staged.descriptor() as descriptor:
            return space.take(
                self._layout.staging, descriptor, size, ahead=ahead, min_free=min_free
            )

    def release_unused_space(self, staged: StagedFile) -> None:
        with translate_errors(), staged.descriptor() as descriptor:
            os.ftruncate(descriptor, staged.size)  # frees what is reserved beyond it, too

    def free_space(self) -> int | None:
        with translate_errors():
            return space.free(self._layout.root)

    def free_files(self) -> int | None:
        with translate_errors():
            return space.free_inodes(self._layout.root)

    def sweep(self) -> None:
        with translate_errors():
            self._layout.identity.check()
            staging.sweep(self._layout.staging)

    def _glance(self, name: FileName, raw: bytes) -> StoredFile:
        """What one system call tells of a file."""
        try:
            status = os.stat(b"%s/%s" % (self._layout.root, raw), follow_symlinks=False)
        except FileNotFoundError:
            raise NotFound(name) from None
        if not S_ISREG(status.st_mode):
            raise NotFound(name)
        return StoredFile(name, status.st_size, status.st_mtime_ns, _NOT_LOOKED_AT, version="")

    def _descriptor(self, name: FileName) -> int:
        try:
            descriptor = os.open(self._layout.of(name), _OPEN_FILE)
        except FileNotFoundError:
            self._layout.identity.check()  # a store that is gone is a fault, not a missing file
            raise NotFound(name) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
                raise NotFound(name) from None
            if error.errno == errno.EACCES and os.access(self._layout.root, os.R_OK | os.X_OK):
                # Put there by somebody who keeps it to himself.
                foreign_files.tell(self._layout.of(name), "it is neither listed nor served")
                raise NotFound(name) from None
            raise
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(name)
        return descriptor


def layout_of(root: Path, *, fsync: bool, identity: str | None) -> Layout:
    """The places of the store in `root`, which has this identity, if it is known."""
    return Layout.under(os.path.abspath(os.fsencode(root)), fsync=fsync, identity=identity)
