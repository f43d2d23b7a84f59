"""LocalLocker: the locks of resumable uploads.

A lock is the flock of the file that has the upload's bytes, so the kernel releases it when the
process that holds it dies. `release-requests/ID` asks its holder to release it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from fileservice.storage.errors import Locked, NoSuchUpload
from fileservice.storage.local.directory_lock import lock_directory
from fileservice.storage.local.errors import translate_errors
from fileservice.storage.local.layout import Layout
from fileservice.storage.local.resumable import LocalResumableWriter

_REQUEST_SECONDS = 10.0


class LocalLocker:
    """See `storage.interface.Locker`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

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
                    raise NoSuchUpload  # removed or published between open and flock
                writer = LocalResumableWriter(self._layout, descriptor, path)
                writer.drop_lost()
                return writer
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise Locked from None
                if isinstance(error, FileNotFoundError):  # it is just being removed
                    raise NoSuchUpload from None
                raise

    def request_release(self, upload: str) -> None:
        with translate_errors():
            descriptor = os.open(
                self._layout.release_request(upload), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644
            )
            try:
                os.utime(descriptor)  # one that a dead process left counts anew
            finally:
                os.close(descriptor)

    def release_requests(self) -> list[str]:
        found = []
        with translate_errors(), os.scandir(os.fsdecode(self._layout.release_requests)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime < _REQUEST_SECONDS:
                        found.append(entry.name)
                    else:
                        os.unlink(entry.path)  # whoever made it is dead
        return found

    def cancel_release_request(self, upload: str) -> None:
        with translate_errors(), suppress(FileNotFoundError):
            os.unlink(self._layout.release_request(upload))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with ExitStack() as stack:
            with translate_errors():
                self._layout.identity.require()  # a store that was read-only may lack the directory
                stack.enter_context(lock_directory(self._layout.uploads))
            yield


def _is_at(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
