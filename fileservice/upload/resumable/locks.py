"""Takeover: one writer for each upload, and a way for its owner to get past a dead connection.

A phone that lost its connection comes back on a new one while the server still waits on the old.
So who finds an upload locked watches it for a while: if bytes still come in, the lock holds; if
not, the writer, in whatever process, is asked to let go, and its body is made to end.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from fileservice.executor import Executor
from fileservice.storage import Locked, ResumableWriter, StorageError, Store, describe_error
from fileservice.upload.errors import TakenOver
from fileservice.upload.inspection.scan import Block

_QUIET_SECONDS = 1.5
"""Longer than bytes that trickle in are held back before they are written."""
_LET_GO_SECONDS = 3.0
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.25

_log = logging.getLogger(__name__)


class BodyInterrupt:
    """A way to end a body, which remembers that it was taken."""

    def __init__(self, end_body: Callable[[], None]) -> None:
        self._end_body = end_body
        self._happened = False

    def __call__(self) -> None:
        """End the body."""
        self._happened = True
        self._end_body()

    def translate(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks of the body; raises TakenOver where they fail for being ended here."""
        try:
            yield from blocks
        except Exception as error:
            if self._happened:
                raise TakenOver from error
            raise


class UploadLocks:
    """Hands out the writers of one process."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self._uploads = store.uploads
        self._locker = store.locker
        self._executor = executor
        self._interrupts: dict[str, Callable[[], None]] = {}
        self._begun = threading.Event()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def writer(
        self, upload: str, interrupt: Callable[[], None], *, preempt: bool = False
    ) -> Iterator[ResumableWriter]:
        """The one writer of `upload`. Raises NoSuchUpload, Locked.

        `interrupt` is called, in another thread, when another request is to take over. `at_once`
        takes over from a request that still receives, too.
        """
        writer = self._acquire(upload, 0.0 if preempt else _QUIET_SECONDS)
        try:
            self._interrupts[upload] = interrupt
            self._watch()
            yield writer
        finally:
            if self._interrupts.get(upload) is interrupt:
                del self._interrupts[upload]
            self._executor.run_io(writer.close)

    @contextmanager
    def free_writer(self, upload: str) -> Iterator[ResumableWriter]:
        """The one writer of `upload`, if there is none just now. Raises NoSuchUpload, Locked."""
        writer = self._executor.run_io(self._locker.lock, upload)
        try:
            yield writer
        finally:
            self._executor.run_io(writer.close)

    def received(self, upload: str) -> None:
        """All has come that the writer of `upload` waited for: there is nothing to interrupt."""
        self._interrupts.pop(upload, None)

    def _acquire(self, upload: str, patience: float) -> ResumableWriter:
        began, size, claimed = time.monotonic(), self._uploads.bytes_written(upload), False
        try:
            while True:
                try:
                    return self._executor.run_io(self._locker.lock, upload)
                except Locked:
                    waited = time.monotonic() - began
                    # Once asked to let go, the writer keeps what it still has, and grows by that.
                    moves = not claimed and patience and self._uploads.bytes_written(upload) != size
                    if moves or waited > _LET_GO_SECONDS:
                        raise
                if waited >= patience and not claimed:
                    self._executor.run_io(self._locker.request_release, upload)
                    claimed = True
                time.sleep(_POLL_SECONDS)
        finally:
            if claimed:
                self._withdraw(upload)

    def _withdraw(self, upload: str) -> None:
        try:
            self._executor.run_io(self._locker.cancel_release_request, upload)
        except StorageError as error:  # it counts for some seconds only
            _log.warning("a claim could not be taken back: %s", describe_error(error))

    def _watch(self) -> None:
        if not self._watcher:
            self._watcher = threading.Thread(target=self._look, name="takeover", daemon=True)
            self._watcher.start()
        self._begun.set()

    def _look(self) -> None:
        while self._begun.wait():
            self._begun.clear()
            while self._interrupts:
                self._interrupt_claimed()
                time.sleep(_WATCH_SECONDS)

    def _interrupt_claimed(self) -> None:
        asked = dict(self._interrupts)
        try:
            release_requests = self._locker.release_requests()
        except StorageError as error:
            _log.warning("nobody can take over an upload now: %s", describe_error(error))
            return
        for upload in release_requests:
            interrupt = asked.get(upload)
            # Not one that has come since: it may be the one who claimed.
            if interrupt and self._interrupts.get(upload) is interrupt:
                interrupt()
