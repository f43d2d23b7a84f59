"""Stream: the blocks of a body into a staged file, counted and examined as they pass."""

import math
from collections.abc import Callable, Iterable
from contextlib import suppress

from fileservice.executor import Executor, Future
from fileservice.storage import StorageError, Store, Writer
from fileservice.upload.errors import TooLarge
from fileservice.upload.inspection.scan import Block, ContentScan
from fileservice.upload.policy import UploadPolicy, leave_free

_WORTH_A_THREAD = 256 * 1024
"""A smaller block is hashed where it is written: to hand it over would cost more."""

_UNRESERVED = 1 << 20
"""So many bytes are written before room is taken for more: to take it costs a tenth of the time
that a small file takes."""
_UNRESERVED_WHERE_SCARCE = 64 * 1024
_SCARCE = 8 << 30
"""Bytes that a few thousand uploads cannot use up before they take room."""
_AHEAD = 64 << 20
"""So much more room is taken at most than the bytes need that are there."""


class Pipeline:
    """One file's bytes on their way into `writer`, `size` of which are there already.

    Room for all `length` bytes, or where that is unknown for those that come next, is taken before
    they are written, so that `rules.min_free` holds in sum. An `examination` that is behind `size`
    is left behind: it has to catch up later.
    """

    def __init__(
        self,
        policy: UploadPolicy,
        store: Store,
        writer: Writer,
        scan: ContentScan | None,
        executor: Executor,
        *,
        size: int = 0,
        length: int | None = None,
    ) -> None:
        self._policy = policy
        self._store = store
        self._executor = executor
        self._writer = writer
        self._scan = scan if scan and scan.size == size else None
        self._length = length
        self._limit = policy.max_size if length is None else length
        free = store.free_space()
        scarce = free is not None and free - policy.min_free < _SCARCE
        self._unreserved = _UNRESERVED_WHERE_SCARCE if scarce else _UNRESERVED
        self._room: float | None = None
        """Bytes that there is room for; None until that is worth a look."""
        self._is_ahead = False
        self.size = size

    def pump(self, blocks: Iterable[Block]) -> None:
        """Take in all `blocks`; while one is worked on, the next is received.

        Raises TooLarge, ContentMismatch, StorageFull, and whatever `blocks` raises. After any of
        these but the last, the examination is of no more use.
        """
        pending: list[Future[None]] = []
        try:
            for block in blocks:
                for task in pending:
                    task.result()
                pending = [self._executor.submit(step, block) for step in self._steps(block)]
        finally:
            for task in pending:
                task.wait()
            self._give_back()
            if self._scan:
                self._scan.size = self.size
        for task in pending:
            task.result()

    def check_room(self) -> None:
        """Raise StorageFull if bytes that no room was taken for ate into what is to stay free."""
        if self._room is None or self.size > self._room:
            leave_free(self._store, self._policy, 0)

    def _steps(self, block: Block) -> tuple[Callable[[Block], None], ...]:
        """What is to be done with a block, each step in a thread of its own if that is worth it."""
        scan = self._scan
        if not scan or not scan.hashes:
            return (self._keep,)
        if len(block) < _WORTH_A_THREAD:
            return (self._take,)
        return (self._keep, self._hash)

    def _hash(self, block: Block) -> None:
        assert self._scan
        self._executor.run_cpu(self._scan.hash, block)

    def _take(self, block: Block) -> None:
        assert self._scan
        self._keep(block)
        self._scan.hash(block)

    def _keep(self, block: Block) -> None:
        self.size += len(block)
        if self.size > self._limit:
            raise TooLarge(self._limit)
        if self._scan:
            if len(block) < _WORTH_A_THREAD:
                self._scan.inspect(block)
            else:
                self._executor.run_cpu(self._scan.inspect, block)
        if self.size > (self._unreserved if self._room is None else self._room):
            self._make_room()
        self._writer.write(block)

    def _make_room(self) -> None:
        if self._length is None:
            size, ahead = self.size, min(self.size, _AHEAD)
        else:
            size, ahead = self._length, 0
        room = self._store.reserve_space(
            self._writer, size, ahead=ahead, min_free=self._policy.min_free
        )
        self._room = math.inf if room is None else room
        self._is_ahead = room is not None and ahead > 0

    def _give_back(self) -> None:
        if self._is_ahead:
            with suppress(StorageError):  # then the file holds more than it needs, and no less
                self._executor.run_io(self._store.release_unused_space, self._writer)
