"""UploadLocks: at most one request changes an upload, and a client can replace its own dead one.

A phone that lost its connection comes back on a new one while the server still waits on the old
one. So a request that finds an upload locked watches for a moment whether it grows. If it does, the
request is refused. If not, it asks the process that has the lock to release it, and that
process ends the body of the request that is waiting (compare tusd's Locker and requestUnlock).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fileservice.executor import Executor
from fileservice.storage import Locked, StorageError, Store, describe_error
from fileservice.upload.errors import UploadInterrupted
from fileservice.upload.inspection.scan import Block
from fileservice.upload.resumable.repository import LockedUpload, UploadRepository

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockTiming:
    """How long requests wait for a lock, in seconds."""

    idle: float = 1.5
    """For how long no byte must arrive before the lock is asked for. Bytes that arrive slowly are
    buffered for a shorter time before they are written."""
    acquire: float = 3.0
    """The time after which a request that cannot get the lock is refused."""
    poll: float = 0.05
    """The time between two attempts to get the lock."""
    watch: float = 0.25
    """How often the process reads which locks others ask for."""


class BodyInterrupt:
    """Ends the body of a request, and distinguishes that end from any other."""

    def __init__(self, end_body: Callable[[], None]) -> None:
        self._end_body = end_body
        self._was_called = False

    def __call__(self) -> None:
        """End the body."""
        self._was_called = True
        self._end_body()

    def translate(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield `blocks`; raise UploadInterrupted if they fail because the body was ended here."""
        try:
            yield from blocks
        except Exception as error:
            if self._was_called:
                raise UploadInterrupted from error
            raise


class UploadLocks:
    """Acquires the locks of uploads for one process."""

    def __init__(
        self,
        store: Store,
        repository: UploadRepository,
        executor: Executor,
        timing: LockTiming,
    ) -> None:
        self._uploads = store.uploads
        self._repository = repository
        self._locker = store.locker
        self._executor = executor
        self._timing = timing
        self._interrupts: dict[str, Callable[[], None]] = {}
        self._has_interrupts = threading.Event()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def lock(
        self, upload: str, interrupt: Callable[[], None], *, preempt: bool = False
    ) -> Iterator[LockedUpload]:
        """Hold the lock of `upload`. Raise NoSuchUpload, UploadGone or Locked.

        `interrupt` is called in another thread when another request asks for the lock. With
        `preempt`, the lock is asked for even if the request that has it still receives bytes.
        """
        locked = self._acquire(upload, 0.0 if preempt else self._timing.idle)
        try:
            self._interrupts[upload] = interrupt
            self._start_watching()
            yield locked
        finally:
            if self._interrupts.get(upload) is interrupt:
                del self._interrupts[upload]
            self._executor.run_io(locked.writer.close)

    @contextmanager
    def try_lock(self, upload: str) -> Iterator[LockedUpload]:
        """Hold the lock of `upload` if it is free. Raise NoSuchUpload, UploadGone or Locked."""
        locked = self._executor.run_io(self._repository.lock, upload)
        try:
            yield locked
        finally:
            self._executor.run_io(locked.writer.close)

    def disable_interrupt(self, upload: str) -> None:
        """Let the request that has the lock go on: it has received all bytes."""
        self._interrupts.pop(upload, None)

    def _acquire(self, upload: str, idle: float) -> LockedUpload:
        started, size, is_requested = time.monotonic(), None, False
        try:
            while True:
                try:
                    return self._executor.run_io(self._repository.lock, upload)
                except Locked:
                    waited = time.monotonic() - started
                    # A request that was asked to release the lock still writes what it has, so
                    # the upload may grow after that.
                    if idle and not is_requested:
                        last_size, size = size, self._uploads.bytes_written(upload)
                        if last_size not in (None, size):
                            raise
                    if waited > self._timing.acquire:
                        raise
                if waited >= idle and not is_requested:
                    self._executor.run_io(self._locker.request_release, upload)
                    is_requested = True
                time.sleep(self._timing.poll)
        finally:
            if is_requested:
                self._cancel_request(upload)

    def _cancel_request(self, upload: str) -> None:
        try:
            self._executor.run_io(self._locker.cancel_release_request, upload)
        except StorageError as error:  # the request lapses in some seconds
            _log.warning("a request for a lock was not cancelled: %s", describe_error(error))

    def _start_watching(self) -> None:
        if not self._watcher:
            self._watcher = threading.Thread(
                target=self._watch, name="upload-lock-watcher", daemon=True
            )
            self._watcher.start()
        self._has_interrupts.set()

    def _watch(self) -> None:
        while self._has_interrupts.wait():
            self._has_interrupts.clear()
            while self._interrupts:
                self._interrupt_requested()
                time.sleep(self._timing.watch)

    def _interrupt_requested(self) -> None:
        before = dict(self._interrupts)
        try:
            requests = self._locker.release_requests()
        except StorageError as error:
            _log.warning("requests for locks cannot be read: %s", describe_error(error))
            return
        for upload in requests:
            interrupt = before.get(upload)
            # A request that got the lock meanwhile may be the one that asked for it.
            if interrupt and self._interrupts.get(upload) is interrupt:
                interrupt()
