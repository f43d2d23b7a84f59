"""Stream: the blocks of a body into a staged file, counted, hashed and looked at as they pass."""

import hashlib
from collections.abc import Iterable
from typing import Any

from fileservice.storage import Store, Writer
from fileservice.upload.admission import Offer, Rules, TooLarge, leave_free
from fileservice.upload.inspection import Inspector
from fileservice.upload.offloading import Offload, Pending

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

    def pump(self, blocks: Iterable[bytes], offload: Offload) -> None:
        """Take in all `blocks`; while one is worked on, the next is received.

        Raises TooLarge, ContentMismatch, StorageFull, and whatever `blocks` raises.
        """
        pending: Pending[None] | None = None
        try:
            for block in blocks:
                if pending:
                    pending.result()
                pending = offload.start(self._take, block)
        finally:
            if pending:
                pending.wait()
        if pending:
            pending.result()

    def digests(self) -> dict[str, bytes]:
        """The digests of all that has passed, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}

    def _take(self, block: bytes) -> None:
        self.size += len(block)
        if self.size > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        self._inspector.feed(block)
        if self.size >= self._next_check:
            self._next_check += _SPACE_CHECK
            leave_free(self._store, self._rules, 0)
        self._writer.write(block)
        for computed in self._hashes.values():
            computed.update(block)
