"""Pipeline: the blocks of a body are counted, inspected, hashed and written as they arrive."""

import math
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress

from fileservice.request_record import StageTimes
from fileservice.storage import StorageError, Writer
from fileservice.upload import admit
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import TooLarge
from fileservice.upload.inspection.scan import Block, ContentScan
from fileservice.upload.quota import MAX_AHEAD, QuotaReservation

_MIN_PARALLEL_BLOCK = 256 * 1024
"""A smaller block is scanned by the thread that writes it, as a second thread would cost more."""

BLOCKS_AHEAD = 2
"""How many blocks may be written before they are scanned."""
_MAX_SECONDS = 0.25
"""A request is cancelled after this time at the latest, when its thread ends."""

_UNRESERVED = 1 << 20
"""How many bytes are written before space is reserved, unless so many or more are declared. A
reservation costs a tenth of the time that a small file takes."""
_UNRESERVED_IF_SCARCE = 64 * 1024
_SCARCE = 8 << 30
"""Space in bytes that a few thousand uploads cannot use up before they reserve any."""
_RESERVED_AT_ONCE = 16 << 20
"""A longer file is reserved in steps."""
_MAX_AHEAD = 8 << 20
"""How many bytes are reserved at most beyond those that have arrived. Nothing is received
meanwhile, and for more of them a tmpfs takes so long that the client has to wait."""


class Pipeline:
    """Writes the blocks of one file to `writer`, which has `size` bytes already.

    Space is reserved before it is written to, for all `length` bytes, or for the next bytes if the
    length is unknown. So the free space does not fall below the policy's `min_free`, however many
    uploads there are. The quota is reserved in the same way. A `scan` that has not seen the first
    `size` bytes is not used; it can catch up later.
    """

    def __init__(
        self,
        context: UploadContext,
        writer: Writer,
        scan: ContentScan | None,
        *,
        size: int = 0,
        length: int | None = None,
        reservation: QuotaReservation,
        stages: StageTimes,
    ) -> None:
        self._context = context
        self._store = context.store
        self._executor = context.executor
        self._min_free = context.policy.min_free
        self._writer = writer
        self._scan = scan if scan and scan.size == size else None
        self._length = length
        self._reservation = reservation
        self._stages = stages
        self._limit = context.policy.max_size if length is None else length
        self._unreserved = _UNRESERVED_IF_SCARCE
        self._knows_if_scarce = False
        """Whether `_unreserved` is right for more bytes as well."""
        self._reserved: float | None = None
        """How many bytes of the file have space; None before the first reservation."""
        self._is_reserved_ahead = False
        self._is_reserved_in_part = False
        """Whether `_steps` are yet to be made."""
        self._steps: Iterator[int] = iter(())
        self._is_reserving = False
        """Whether `_steps` are being made: the thread does not return before the last of them."""
        self._thread = 0
        self._ended: float | None = None
        """When all had arrived and was written, if that was before `after_last` was called."""
        self.size = size

    def reserve_declared_length(self) -> None:
        """Reserve space before the first byte if the file has so many that it is worth it. Blocks.

        Of a large file only the beginning gets space here; the rest gets it while the first blocks
        are written, since this may take as long as to write them. Raise StorageFull.
        """
        if self._length is None or self._length < _UNRESERVED:
            return
        if self._length <= _RESERVED_AT_ONCE:
            self._reserve_space()
            return
        with closing(self._reserve_in_steps(self._length)) as steps:
            self._reserved = next(steps)
        self._is_reserved_in_part = True

    def write(self, block: Block) -> None:
        """Write one small block in the thread of the caller. Blocks.

        Raise TooLarge, UnacceptableContent, StorageFull, and whatever the reservation raises. After
        any of these, the scan cannot be used any more.
        """
        self._write(block, None)
        if self._scan:
            self._scan.size = self.size

    def write_all(
        self, blocks: Iterable[Block], after_last: Callable[[], None] | None = None
    ) -> None:
        """Write all `blocks`, in one call for all that arrive without a pause.

        The scan lags behind by up to `BLOCKS_AHEAD` blocks, which must stay unchanged for so
        long. An empty block says that nothing has arrived for now, and that the event loop should
        wait for more. `after_last`, which may block, is called in the call that finds the end of
        `blocks`, while the scan catches up. It is not called if the event loop finds the end, since
        the client has paused or other work has waited for the thread.

        Raise TooLarge, UnacceptableContent, StorageFull, and whatever the reservation, `blocks` and
        `after_last` raise. After any of these but those of `blocks`, the scan cannot be used any
        more.
        """
        iterator, self._thread = iter(blocks), threading.get_ident()
        began = time.perf_counter()
        try:
            for block in iterator:
                if block and self._executor.run_io(
                    self._write_arrived, block, iterator, after_last
                ):
                    break
        finally:
            self._stages.add("receive", (self._ended or time.perf_counter()) - began)
            self._release_unused_space()
            if self._scan:
                self._scan.size = self.size

    def _write_arrived(
        self, block: Block, blocks: Iterator[Block], after_last: Callable[[], None] | None
    ) -> bool:
        """Write `block` and those of `blocks` that have arrived; return whether that is all.

        Blocks, as long as no other work waits for a thread.
        """
        until = time.monotonic() + _MAX_SECONDS
        is_beside = False
        with (
            self._executor.beside(self._scan_block, BLOCKS_AHEAD) as scan_beside,
            self._reserving_rest(),
        ):
            while block:
                # In order: once one block is scanned beside, all that follow are.
                is_beside = is_beside or len(block) >= _MIN_PARALLEL_BLOCK
                self._write(block, scan_beside if is_beside else None)
                is_late = time.monotonic() > until and not self._is_reserving
                if is_late or self._executor.delay():
                    return False
                following = next(blocks, None)
                if following is None:
                    if after_last:
                        self._ended = time.perf_counter()
                        after_last()
                    return True
                block = following
        return False

    def check_free_space(self) -> None:
        """Raise StorageFull if bytes that were written without a reservation left too little."""
        if self._reserved is None or self.size > self._reserved:
            admit.check_free_space(self._context, 0)

    def _write(self, block: Block, scan_beside: Callable[[Block], None] | None) -> None:
        self.size += len(block)
        if self.size > self._limit:
            raise TooLarge(self._limit)
        self._hold_quota()
        if self._scan:
            if scan_beside and self._scan.hashes:  # otherwise this core has the block in its cache
                scan_beside(block)
            else:
                began = time.perf_counter()
                self._scan.inspect(block)
                self._stages.add("inspect", time.perf_counter() - began)
        self._reserve_next_step()
        if self.size > self._available():
            self._reserve_space()
        self._writer.write(block)
        if self._scan and not scan_beside:
            began = time.perf_counter()
            self._scan.hash(block)
            self._stages.add("hash", time.perf_counter() - began)

    def _available(self) -> float:
        """Return how many bytes may be written before more are reserved."""
        if self._reserved is not None:
            return self._reserved
        if self.size > self._unreserved and not self._knows_if_scarce:
            self._knows_if_scarce = True
            free = self._store.free_space()
            if free is None or free - self._min_free >= _SCARCE:
                self._unreserved = _UNRESERVED
        return self._unreserved

    def _scan_block(self, block: Block) -> None:
        assert self._scan
        began = time.perf_counter()
        self._scan.inspect(block)
        inspected = time.perf_counter()
        self._scan.hash(block)
        self._stages.add("inspect", inspected - began)
        self._stages.add("hash", time.perf_counter() - inspected)

    def _hold_quota(self) -> None:
        if self._length is None:
            self._reservation.hold(self.size, ahead=min(self.size, MAX_AHEAD))
        else:
            self._reservation.hold(self._length)

    @contextmanager
    def _reserving_rest(self) -> Iterator[None]:
        """Reserve the rest of the declared length in steps, while blocks are written.

        No other upload can reserve space meanwhile, so this must not wait for the client.
        """
        if not self._is_reserved_in_part or self._length is None:
            yield
            return
        with closing(self._reserve_in_steps(self._length)) as self._steps:
            self._is_reserving = True
            may_wait_for_client = threading.get_ident() == self._thread
            if may_wait_for_client:
                self._reserve_all_steps()
            yield
            self._reserve_all_steps()
        self._is_reserved_in_part = False

    def _reserve_in_steps(self, length: int) -> Generator[int, None, None]:
        return self._store.reserve_in_steps(self._writer, length, min_free=self._min_free)

    def _reserve_next_step(self) -> None:
        """Reserve the next step, and more until there is space for what was received."""
        for reserved in self._steps:
            self._reserved = reserved
            if reserved >= self.size:
                return
        self._is_reserving = False

    def _reserve_all_steps(self) -> None:
        for reserved in self._steps:
            self._reserved = reserved

    def _reserve_space(self) -> None:
        if self._length is None:
            size, ahead = self.size, min(self.size, _MAX_AHEAD)
        else:
            size, ahead = self._length, 0
        # By run_io, since it waits for uploads that reserve space, and a small file is written by a
        # brief call.
        reserved = self._executor.run_io(
            self._store.reserve_space, self._writer, size, ahead=ahead, min_free=self._min_free
        )
        self._reserved = math.inf if reserved is None else reserved
        self._is_reserved_ahead = reserved is not None and ahead > 0

    def _release_unused_space(self) -> None:
        if self._is_reserved_ahead:
            with suppress(StorageError):  # the file then keeps more space than it needs
                self._executor.run_io(self._store.release_unused_space, self._writer)
