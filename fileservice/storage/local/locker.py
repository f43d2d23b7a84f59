"""LocalLocker: the locks of resumable uploads.

    uploads/ID              the bytes; their flock is the lock
    release-requests/ID     asks the process that holds the lock to release it

The kernel releases a lock when the process that holds it ends.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from fileservice.storage.errors import Locked, NoSuchUpload
from fileservice.storage.local.directories import lock_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.expiry_index import ExpiryIndex
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.permissions import PRIVATE
from fileservice.storage.local.resumable import LocalResumableWriter

_REQUEST_SECONDS = 10.0
"""After so long a request lapses: the process that made it is dead."""


class LocalLocker:
    """See `storage.interface.Locker`."""

    def __init__(self, layout: Layout, expiry_index: ExpiryIndex) -> None:
        self._layout = layout
        self._expiry_index = expiry_index

    def lock(self, upload: str) -> LocalResumableWriter:
        path = self._layout.upload(upload)
        with translate_errors():
            self._layout.identity.require()
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NoSuchUpload from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_at(descriptor, path):
                    raise NoSuchUpload  # it ended between open and flock
                writer = LocalResumableWriter(self._layout, self._expiry_index, descriptor, path)
                writer.drop_unverified()
                return writer
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise Locked from None
                if isinstance(error, FileNotFoundError):  # it is being removed
                    raise NoSuchUpload from None
                raise

    def request_release(self, upload: str) -> None:
        path = self._layout.release_request(upload)
        with translate_errors():
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, PRIVATE)
            try:
                os.utime(descriptor)  # renews a request that a dead process left
            finally:
                os.close(descriptor)

    def release_requests(self) -> list[str]:
        uploads = []
        with translate_errors(), os.scandir(os.fsdecode(self._layout.release_requests)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime < _REQUEST_SECONDS:
                        uploads.append(entry.name)
                    else:
                        os.unlink(entry.path)
        return uploads

    def cancel_release_request(self, upload: str) -> None:
        with translate_errors(), suppress(FileNotFoundError):
            os.unlink(self._layout.release_request(upload))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with ExitStack() as stack:
            with translate_errors():
                # A store that was read-only when it was opened may not have the directory yet.
                self._layout.identity.require()
                stack.enter_context(lock_directory(self._layout.uploads))
            yield


def _is_at(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
