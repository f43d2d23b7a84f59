"""Stream: the blocks of a body into a staged file, counted and examined as they pass."""

from collections.abc import Callable, Iterable

from fileservice.storage import Store, Writer
from fileservice.upload.admission import Rules, TooLarge, leave_free
from fileservice.upload.examination import Block, Examination
from fileservice.upload.offloading import Offload, Pending

_WORTH_A_THREAD = 256 * 1024
"""A smaller block is hashed where it is written: to hand it over would cost more."""

_SPACE_CHECK = 64 << 20
"""Bytes between looks at the free space, for bodies whose length nobody declared."""


class Stream:
    """One file's bytes on their way into `writer`, `size` of which are there already.

    An `examination` that is behind `size` is left behind: it has to catch up later.
    """

    def __init__(
        self,
        rules: Rules,
        store: Store,
        writer: Writer,
        examination: Examination | None,
        offload: Offload,
        *,
        size: int = 0,
        limit: int | None = None,
    ) -> None:
        self._rules = rules
        self._store = store
        self._offload = offload
        self._writer = writer
        self._examination = examination if examination and examination.size == size else None
        self._limit = rules.max_size if limit is None else limit
        self._next_check = size + _SPACE_CHECK
        self.size = size

    def pump(self, blocks: Iterable[Block]) -> None:
        """Take in all `blocks`; while one is worked on, the next is received.

        Raises TooLarge, ContentMismatch, StorageFull, and whatever `blocks` raises. After any of
        these but the last, the examination is of no more use.
        """
        pending: list[Pending[None]] = []
        try:
            for block in blocks:
                for task in pending:
                    task.result()
                pending = [self._offload.start(step, block) for step in self._steps(block)]
        finally:
            for task in pending:
                task.wait()
            if self._examination:
                self._examination.size = self.size
        for task in pending:
            task.result()

    def _steps(self, block: Block) -> tuple[Callable[[Block], None], ...]:
        """What is to be done with a block, each step in a thread of its own if that is worth it."""
        examination = self._examination
        if not examination or not examination.hashes:
            return (self._keep,)
        if len(block) < _WORTH_A_THREAD:
            return (self._take,)
        return (self._keep, self._hash)

    def _hash(self, block: Block) -> None:
        assert self._examination
        self._offload.compute(self._examination.hash, block)

    def _take(self, block: Block) -> None:
        assert self._examination
        self._keep(block)
        self._examination.hash(block)

    def _keep(self, block: Block) -> None:
        self.size += len(block)
        if self.size > self._limit:
            raise TooLarge(self._limit)
        if self._examination:
            if len(block) < _WORTH_A_THREAD:
                self._examination.inspect(block)
            else:
                self._offload.compute(self._examination.inspect, block)
        if self.size >= self._next_check:
            self._next_check += _SPACE_CHECK
            leave_free(self._store, self._rules, 0)
        self._writer.write(block)
