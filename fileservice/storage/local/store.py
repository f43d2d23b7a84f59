"""LocalStore: a directory of a local file system, which is the whole database.

    ROOT/report.pdf                      a published file; it may be put there by any program
    ROOT/.fileservice/staging/           files that are being received (see staging)
    ROOT/.fileservice/uploads/           unfinished resumable uploads (see uploads)
    ROOT/.fileservice/ended/             the records of uploads that have ended (see records)
    ROOT/.fileservice/release-requests/  requests to release the lock of an upload (see locker)
    ROOT/.fileservice/usage/             what is counted of the files of each owner (see usage)
    ROOT/.fileservice/expiry/            which files expire when (see expiry_index)
    ROOT/.fileservice/names              the sorted names (see index)
    ROOT/.fileservice/identity           which store this is (see identity)
    ROOT/.fileservice/KEY                a small file of the service itself (see private_files)

The description of a file's content, and its owner, are in its extended attributes (see attributes).
Reading, listing and deleting files needs no space, so it works on a disk that is full or has no
inodes left.
"""

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from stat import S_ISREG

from fileservice.executor import CallBlocking, NewLock, call_directly
from fileservice.names import BadName, FileName
from fileservice.storage.errors import NotFound, StorageError, describe_error
from fileservice.storage.files import Content, Opened, StoredFile
from fileservice.storage.interface import StagedFile
from fileservice.storage.local import attributes, permissions, published, space, staging
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.expired_files import LocalExpiredFiles
from fileservice.storage.local.expiry_index import ExpiryIndex
from fileservice.storage.local.index import NameIndex
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.locker import LocalLocker
from fileservice.storage.local.private_files import LocalPrivateFiles
from fileservice.storage.local.removal import remove_name
from fileservice.storage.local.uploads import LocalUploads
from fileservice.storage.local.usage import LocalUsageRecords
from fileservice.storage.local.verify import verify
from fileservice.storage.local.writer import LocalWriter

_log = logging.getLogger(__name__)
_UNKNOWN_CONTENT = Content("application/octet-stream")
_PROBE = bytes(4096)


class LocalStore:
    """See the module's docstring, and `storage.interface.Store` for what each call guarantees."""

    remote = False

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool,
        verified: bool = False,
        identity: str | None = None,
        clock: Callable[[], float] = time.time,
        new_lock: NewLock = threading.Lock,
        call_blocking: CallBlocking = call_directly,
    ) -> None:
        """Open the store in `root`, which must have the given `identity`.

        With `verified` the store is not verified again, and need not work or even exist at this
        moment. `clock` returns seconds since the Unix epoch. `new_lock` makes locks for the threads
        that call the store, and `call_blocking` lets brief calls wait for the disk. Raise
        StorageError.
        """
        self._clock = clock
        self._layout = layout = Layout.under(
            root,
            fsync=fsync,
            identity=identity,
            new_lock=new_lock,
            call_blocking=call_blocking,
        )
        self._index = NameIndex(layout.root, layout.names, layout.staging)
        self._expiry_index = ExpiryIndex(layout)
        self.expired = LocalExpiredFiles(layout, self._expiry_index, clock)
        self.uploads = LocalUploads(layout)
        self.locker = LocalLocker(layout, self._expiry_index)
        self.private_files = LocalPrivateFiles(layout, new_lock)
        self.usage = LocalUsageRecords(layout)
        if not verified:
            for level, message in verify(layout).messages:
                _log.log(level, message)
        try:
            self.sweep()
        except StorageError as error:
            _log.warning("the store could not be swept at the start: %s", describe_error(error))

    def check(self) -> None:
        # This does not sync the file, since that would wait for the syncs of all uploads.
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
        length: int | None = None,  # noqa: ARG002
        *,
        stream_to: FileName | None = None,  # noqa: ARG002
    ) -> LocalWriter:
        with translate_errors():
            self._layout.identity.require()
            descriptor, path = staging.create(self._layout.staging, permissions.PUBLISHED)
        return LocalWriter(self._layout, self._expiry_index, descriptor, path, size=0)

    def open(self, name: FileName, *, sequential: bool = False) -> Opened:  # noqa: ARG002
        with translate_errors():
            descriptor = published.open_file(self._layout, name)
            try:
                file = self._describe(name, descriptor)
                body = io.FileIO(descriptor)  # as os.fdopen does, in a third of the time
            except BaseException:
                os.close(descriptor)
                raise
        return Opened(file, body, lambda first, _end: body.seek(first))

    def presigned_url(self, file: StoredFile, fields: Mapping[str, str]) -> str | None:  # noqa: ARG002
        return None

    def stat(self, name: FileName) -> StoredFile:
        with translate_errors():
            descriptor = published.open_file(self._layout, name)
            try:
                return self._describe(name, descriptor)
            finally:
                os.close(descriptor)

    def sync_names(self) -> None:
        with translate_errors():
            self._layout.sync_names()

    def is_taken(self, name: FileName) -> bool:
        return os.path.lexists(self._layout.published(name))

    def delete(self, name: FileName, version: str | None = None) -> StoredFile:
        with translate_errors(self._layout.root):
            self._layout.identity.check()
            descriptor = published.open_file(self._layout, name)
            try:
                file = self._describe(name, descriptor)
                if version is not None and file.version != version:
                    raise NotFound(name)
                remove_name(self._layout, name, descriptor)
                self._layout.sync_names()
                if file.expires is not None:
                    self._expiry_index.discard(file.expires, descriptor)
            except FileNotFoundError:
                raise NotFound(name) from None
            finally:
                os.close(descriptor)
        return file

    def list(
        self,
        after: str = "",
        prefix: str = "",
        contains: str = "",
        *,
        expected: int | None = None,  # noqa: ARG002
        brief: bool = False,
    ) -> Iterator[StoredFile]:
        raw_after, raw_prefix = after.encode(), prefix.encode()
        folded = contains.casefold()
        with translate_errors(self._layout.root):
            self._layout.identity.check()
            # What a brief description costs is one system call, and another would double it.
            entries = self._expiry_index.entries(self._clock()) if brief else ()
            may_have_expired = {entry.name for entry in entries}
            for raw in self._index.names(max(raw_after, raw_prefix)):
                if not raw.startswith(raw_prefix):
                    return
                if raw == raw_after:
                    continue
                try:
                    name = FileName.parse_bytes(raw)
                    if name.encode() != raw or folded not in name.casefold():
                        continue
                    if brief and name not in may_have_expired:
                        file = self._stat_briefly(name, raw)
                    else:
                        file = self.stat(name)
                except (BadName, NotFound):
                    continue  # the name is not valid in a request, or the file was deleted
                yield file

    def describe(self, file: StoredFile) -> StoredFile:
        return self.stat(file.name)

    def reserve_space(
        self, staged: StagedFile, size: int, *, ahead: int = 0, min_free: int = 0
    ) -> int | None:
        with translate_errors(), staged.descriptor() as descriptor:
            return space.reserve(
                self._layout.staging,
                descriptor,
                size,
                ahead=ahead,
                min_free=min_free,
                if_needed=True,
            )

    def reserve_in_steps(
        self, staged: StagedFile, size: int, *, min_free: int = 0
    ) -> Generator[int, None, None]:
        with translate_errors(), staged.descriptor() as descriptor:
            yield from space.reserve_in_steps(
                self._layout.staging, descriptor, size, min_free=min_free
            )

    def release_unused_space(self, staged: StagedFile) -> None:
        with translate_errors(), staged.descriptor() as descriptor:
            os.ftruncate(descriptor, staged.size)  # also frees what is allocated beyond the size

    def free_space(self) -> int | None:
        with translate_errors():
            return space.free(self._layout.root)

    def free_files(self) -> int | None:
        with translate_errors():
            return space.free_inodes(self._layout.root)

    def staged_bytes(self) -> int:
        with translate_errors():
            return staging.total_size(self._layout.staging)

    def sweep(self) -> None:
        with translate_errors():
            self._layout.identity.check()
            staging.sweep(self._layout.staging)

    def _describe(self, name: FileName, descriptor: int) -> StoredFile:
        """Describe an opened file. Raise NotFound if it has expired, or OSError."""
        file = attributes.read(name, descriptor)
        if file.expires is not None and file.has_expired(self._clock()):
            self._expiry_index.restore(name, file.expires, descriptor)
            raise NotFound(name)
        return file

    def _stat_briefly(self, name: FileName, raw: bytes) -> StoredFile:
        """Describe a file by what one system call returns."""
        try:
            status = os.stat(b"%s/%s" % (self._layout.root, raw), follow_symlinks=False)
        except FileNotFoundError:
            raise NotFound(name) from None
        if not S_ISREG(status.st_mode):
            raise NotFound(name)
        return StoredFile(name, status.st_size, status.st_mtime_ns, _UNKNOWN_CONTENT, version="")
