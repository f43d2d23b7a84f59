"""Examination: what is found out about a file while its bytes pass, each of them once."""

import hashlib
from collections.abc import Iterable
from typing import Any

from fileservice.filetypes import FileType
from fileservice.storage import Staged
from fileservice.upload.admission import Offer, Rules
from fileservice.upload.inspection import Inspector, Verdict
from fileservice.upload.offloading import Compute

Block = bytes | memoryview

_BLOCK = 1 << 20


class Examination:
    """The digests and the type of one file, of which `size` bytes have been looked at."""

    def __init__(self, file_type: FileType, algorithms: Iterable[str]) -> None:
        self._inspector = Inspector(file_type)
        self._hashes: dict[str, Any] = {
            name: hashlib.new(name.replace("-", "")) for name in set(algorithms)
        }
        self.size = 0

    @property
    def hashes(self) -> bool:
        """Whether any digest is wanted."""
        return bool(self._hashes)

    def inspect(self, block: Block) -> None:
        """Look at what the next block is. Raises ContentMismatch as soon as that is certain."""
        self._inspector.feed(block)

    def hash(self, block: Block) -> None:
        """Take the next block into the digests."""
        for computed in self._hashes.values():
            computed.update(block)

    def catch_up(self, staged: Staged, compute: Compute) -> None:
        """Look at what it has not seen of the staged bytes. Raises ContentMismatch."""
        while self.size < staged.size:
            block = staged.read_at(min(_BLOCK, staged.size - self.size), self.size)
            if not block:
                raise EOFError("the staged file is shorter than it was")
            compute(self.inspect, block)
            compute(self.hash, block)
            self.size += len(block)

    def verdict(self, staged: Staged, compute: Compute) -> Verdict:
        """What the content is, now that all of it has been seen. Raises ContentMismatch."""
        return self._inspector.conclude(staged, compute)

    def digests(self) -> dict[str, bytes]:
        """The digests of all that has been seen, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}


def examine(offer: Offer, rules: Rules, file_type: FileType) -> Examination:
    """The examination that an offered file has to go through."""
    return Examination(file_type, {*offer.digests, *({"sha-256"} if rules.digest else ())})
