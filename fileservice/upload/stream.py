"""Stream: the blocks of a body into a staged file, counted, hashed and looked at as they pass."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from fileservice.storage import Store, Writer
from fileservice.upload.admission import Offer, Rules, TooLarge, leave_free
from fileservice.upload.inspection import Inspector
from fileservice.upload.offloading import Offload, Pending

Block = bytes | memoryview

_WORTH_A_THREAD = 256 * 1024
"""A smaller block is hashed where it is written: to hand it over would cost more."""

_SPACE_CHECK = 64 << 20
"""Bytes between looks at the free space, for bodies whose length nobody declared."""


class Stream:
    """One file's bytes on their way into `writer`."""

    def __init__(
        self, offer: Offer, rules: Rules, store: Store, writer: Writer, inspector: Inspector
    ) -> None:
        self._rules = rules
        self._store = store
        self._writer = writer
        self._inspector = inspector
        wanted = set(offer.digests) | ({"sha-256"} if rules.digest else set())
        self._hashes: dict[str, Any] = {name: hashlib.new(name.replace("-", "")) for name in wanted}
        self._next_check = _SPACE_CHECK
        self.size = 0

    def pump(self, blocks: Iterable[Block], offload: Offload) -> None:
        """Take in all `blocks`; while one is worked on, the next is received.

        Raises TooLarge, ContentMismatch, StorageFull, and whatever `blocks` raises.
        """
        pending: list[Pending[None]] = []
        try:
            for block in blocks:
                for task in pending:
                    task.result()
                pending = [offload.start(step, block) for step in self._steps(block)]
        finally:
            for task in pending:
                task.wait()
        for task in pending:
            task.result()

    def digests(self) -> dict[str, bytes]:
        """The digests of all that has passed, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}

    def _steps(self, block: Block) -> tuple[Callable[[Block], None], ...]:
        """What is to be done with a block, each step in a thread of its own if that is worth it."""
        if len(block) < _WORTH_A_THREAD or not self._hashes:
            return (self._take,)
        return (self._keep, self._hash)

    def _take(self, block: Block) -> None:
        self._keep(block)
        self._hash(block)

    def _keep(self, block: Block) -> None:
        self.size += len(block)
        if self.size > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        self._inspector.feed(block)
        if self.size >= self._next_check:
            self._next_check += _SPACE_CHECK
            leave_free(self._store, self._rules, 0)
        self._writer.write(block)

    def _hash(self, block: Block) -> None:
        for computed in self._hashes.values():
            computed.update(block)
