"""Examination: what is found out about a file while its bytes pass, each of them once."""

import hashlib
import os
from collections.abc import Iterable
from typing import Any

from fileservice.filetypes import FileType
from fileservice.upload.admission import Offer, Rules
from fileservice.upload.inspection import Inspector, Verdict

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

    def catch_up(self, descriptor: int, size: int) -> None:
        """Look at what it has not seen of the file's first `size` bytes. Raises ContentMismatch."""
        while self.size < size:
            block = os.pread(descriptor, min(_BLOCK, size - self.size), self.size)
            if not block:
                raise EOFError("the staged file is shorter than it was")
            self.inspect(block)
            self.hash(block)
            self.size += len(block)

    def verdict(self, descriptor: int) -> Verdict:
        """What the content is, now that all of it has been seen. Raises ContentMismatch."""
        return self._inspector.conclude(descriptor, self.size)

    def digests(self) -> dict[str, bytes]:
        """The digests of all that has been seen, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}


def examine(offer: Offer, rules: Rules, file_type: FileType) -> Examination:
    """The examination that an offered file has to go through."""
    return Examination(file_type, {*offer.digests, *({"sha-256"} if rules.digest else ())})
