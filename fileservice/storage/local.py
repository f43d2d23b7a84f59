"""LocalStore: a directory on a local file system, which is the whole database.

    ROOT/report.pdf               a published file; put there by whatever means, it is served
    ROOT/.fileservice/staging/    files on their way in (see staging)
    ROOT/.fileservice/names       the index of names (see index)
    ROOT/.fileservice/lock        locked while a published name is removed

A file's digest and checked type are kept in its extended attributes: `user.shatag.sha256` and
`user.shatag.ts` as cshatag reads and writes them, `user.mime_type` as freedesktop.org has it. A
digest counts only while the time beside it is the file's time of modification.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG

from fileservice.filetypes import media_type_of
from fileservice.names import BadName, FileName
from fileservice.storage import staging, writeback
from fileservice.storage.base import (
    Busy,
    Content,
    NameTaken,
    NotFound,
    Opened,
    StorageFull,
    StorageUnavailable,
    StoredFile,
)
from fileservice.storage.index import NameIndex

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM)
_MEDIA_TYPE = re.compile(rb"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_CHARSET = re.compile(rb"[A-Za-z0-9-]{1,40}")
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_TIMESTAMP = re.compile(rb"-?[0-9]{1,20}\.[0-9]{9}")
_WORTH_RESERVING = 1 << 20
_WRITEBACK = 16 << 20
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextmanager
def _errors_named() -> Iterator[None]:
    """Turn what the operating system refuses into the store's errors."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, '?')})"
        if error.errno in _FULL:
            raise StorageFull(f"there is no room left for the file: {reason}") from error
        if error.errno in _EXHAUSTED:
            raise Busy(f"the server has no means left at present: {reason}") from error
        raise StorageUnavailable(f"the storage does not do its work: {reason}") from error


class LocalStore:
    """See the module, and `storage.base.Store` for what each call guarantees."""

    def __init__(self, root: Path, *, fsync: bool) -> None:
        self._root = os.path.abspath(os.fsencode(root))
        private = os.path.join(self._root, b".fileservice")
        self._staging = os.path.join(private, b"staging")
        self._lock = os.path.join(private, b"lock")
        self._fsync = fsync
        self._index = NameIndex(self._root, os.path.join(private, b"names"), self._staging)
        with _errors_named():
            os.makedirs(self._staging, exist_ok=True)
            self._prove_links()
        self.sweep()

    def _prove_links(self) -> None:
        descriptor, path = staging.create(self._staging)
        try:
            os.link(path, path + b"-link")
            os.unlink(path + b"-link")
        finally:
            os.unlink(path)
            os.close(descriptor)  # last: while it is locked, no other process sweeps it

    def writer(self, length: int | None = None) -> "LocalWriter":
        with _errors_named():
            descriptor, path = staging.create(self._staging)
        writer = LocalWriter(self._root, self._lock, descriptor, path, fsync=self._fsync)
        if length and length >= _WORTH_RESERVING:
            try:
                with _errors_named():
                    writeback.reserve(descriptor, length)
            except StorageFull:
                writer.close()
                raise
        return writer

    def open(self, name: FileName) -> Opened:
        with _errors_named():
            descriptor = self._descriptor(name)
            try:
                return Opened(_describe(name, descriptor), os.fdopen(descriptor, "rb", buffering=0))
            except BaseException:
                os.close(descriptor)
                raise

    def stat(self, name: FileName) -> StoredFile:
        with _errors_named():
            descriptor = self._descriptor(name)
            try:
                return _describe(name, descriptor)
            finally:
                os.close(descriptor)

    def taken(self, name: FileName) -> bool:
        return os.path.lexists(self._path(name))

    def delete(self, name: FileName, version: str | None = None) -> None:
        with _errors_named():
            descriptor = self._descriptor(name)
            try:
                if version is not None and _describe(name, descriptor).version != version:
                    raise NotFound(name)
                _remove(self._path(name), descriptor, self._lock)
            except FileNotFoundError:
                raise NotFound(name) from None
            finally:
                os.close(descriptor)
            if self._fsync:
                _sync_directory(self._root)

    def list(self, after: str = "", prefix: str = "", contains: str = "") -> Iterator[StoredFile]:
        past, within = after.encode(), prefix.encode()
        wanted = contains.casefold()
        with _errors_named():
            for raw in self._index.names(max(past, within)):
                if not raw.startswith(within):
                    return
                if raw == past:
                    continue
                try:
                    name = FileName.parse_bytes(raw)
                    if name.encode() != raw or wanted not in name.casefold():
                        continue
                    file = self.stat(name)
                except (BadName, NotFound):
                    continue  # not a name that can be asked for, or deleted meanwhile
                yield file

    def free_space(self) -> int | None:
        with _errors_named():
            status = os.statvfs(self._root)
            return status.f_bavail * status.f_frsize

    def sweep(self) -> None:
        with _errors_named():
            staging.sweep(self._staging)

    def _path(self, name: FileName) -> bytes:
        return os.path.join(self._root, name.encode())

    def _descriptor(self, name: FileName) -> int:
        try:
            descriptor = os.open(self._path(name), _OPEN_FILE)
        except FileNotFoundError:
            os.stat(self._root)  # a root that is gone is a fault, not a missing file
            raise NotFound(name) from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
                raise NotFound(name) from None
            if error.errno == errno.EACCES and os.access(self._root, os.R_OK | os.X_OK):
                raise NotFound(name) from None  # put there by somebody who keeps it to himself
            raise
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(name)
        return descriptor


class LocalWriter:
    """See `storage.base.Writer`."""

    def __init__(
        self, root: bytes, lock: bytes, descriptor: int, path: bytes, *, fsync: bool
    ) -> None:
        self._root = root
        self._lock = lock
        self._descriptor = descriptor
        self._path = path
        self._fsync = fsync
        self._written = 0
        self._begun = 0
        """Up to where writeback has begun."""

    def write(self, block: bytes | memoryview) -> None:
        with _errors_named():
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._written += len(block)
            if self._fsync and self._written - self._begun >= _WRITEBACK:
                writeback.begin(self._descriptor, self._begun, self._written - self._begun)
                self._begun = self._written

    def fileno(self) -> int:
        return self._descriptor

    def publish(self, name: FileName, content: Content) -> StoredFile:
        target = os.path.join(self._root, name.encode())
        with _errors_named():
            self._record(content)
            if self._fsync:
                os.fsync(self._descriptor)
            try:
                os.link(self._path, target)
            except FileExistsError:
                raise NameTaken(name) from None
            if self._fsync:
                try:
                    _sync_directory(self._root)
                except OSError:
                    _remove(target, self._descriptor, self._lock)  # it may not last
                    raise
            return replace(_describe(name, self._descriptor), content=content)

    def _record(self, content: Content) -> None:
        attributes = {"user.mime_type": content.media_type.encode()}
        if content.charset:
            attributes["user.charset"] = content.charset.encode()
        if content.sha256:
            modified_ns = os.fstat(self._descriptor).st_mtime_ns
            attributes["user.shatag.sha256"] = content.sha256.hex().encode()
            attributes["user.shatag.ts"] = _timestamp(modified_ns).encode()
        try:
            for attribute, value in attributes.items():
                os.setxattr(self._descriptor, attribute, value)
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise

    def close(self) -> None:
        try:
            with _errors_named(), suppress(FileNotFoundError):
                os.unlink(self._path)
        finally:
            os.close(self._descriptor)


def _describe(name: FileName, descriptor: int) -> StoredFile:
    status = os.fstat(descriptor)
    media_type = _attribute(descriptor, "user.mime_type", _MEDIA_TYPE)
    digest = None
    if _attribute(descriptor, "user.shatag.ts", _TIMESTAMP) == _timestamp(status.st_mtime_ns):
        digest = _attribute(descriptor, "user.shatag.sha256", _SHA256)
    return StoredFile(
        name=name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        content=Content(
            media_type=media_type or media_type_of(name.extension),
            charset=_attribute(descriptor, "user.charset", _CHARSET) if media_type else None,
            sha256=bytes.fromhex(digest) if digest else None,
        ),
        version=digest or f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}",
    )


def _attribute(descriptor: int, attribute: str, form: re.Pattern[bytes]) -> str | None:
    """An attribute's value; None where there is none of this form (others may write them too)."""
    try:
        value = os.getxattr(descriptor, attribute)
    except OSError as error:
        if error.errno in (errno.ENODATA, *_NO_ATTRIBUTES):
            return None
        raise
    return value.decode("ascii") if form.fullmatch(value) else None


def _timestamp(nanoseconds: int) -> str:
    """Seconds and nanoseconds as cshatag writes them."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09d}"


def _remove(path: bytes, descriptor: int, lock: bytes) -> None:
    """Remove the name `path` if it is one of the opened file. Raises FileNotFoundError.

    Names are removed under one lock, and nobody can publish over a taken name: so between the look
    and the removal the name cannot come to mean another file.
    """
    lock_descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock_descriptor, fcntl.LOCK_EX)
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            raise FileNotFoundError(errno.ENOENT, "the name belongs to another file by now")
        os.unlink(path)
    finally:
        os.close(lock_descriptor)


def _sync_directory(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
