"""Examination: what is found out about a file while its bytes pass, each of them once."""

import hashlib
from collections.abc import Iterable
from typing import Any

from fileservice.executor import RunCpu
from fileservice.filetypes import FileType
from fileservice.storage import StagedFile
from fileservice.upload.inspection.inspector import Inspector, Verdict
from fileservice.upload.policy import UploadPolicy, UploadRequest

Block = bytes | memoryview

_BLOCK = 1 << 20


class ContentScan:
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

    def catch_up(self, staged: StagedFile, run_cpu: RunCpu) -> None:
        """Look at what it has not seen of the staged bytes. Raises ContentMismatch."""
        while self.size < staged.size:
            block = staged.read_at(min(_BLOCK, staged.size - self.size), self.size)
            if not block:
                raise EOFError("the staged file is shorter than it was")
            run_cpu(self.inspect, block)
            run_cpu(self.hash, block)
            self.size += len(block)

    def verdict(self, staged: StagedFile, run_cpu: RunCpu) -> Verdict:
        """What the content is, now that all of it has been seen. Raises ContentMismatch."""
        return self._inspector.conclude(staged, run_cpu)

    def digests(self) -> dict[str, bytes]:
        """The digests of all that has been seen, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}


def begin_scan(request: UploadRequest, policy: UploadPolicy, file_type: FileType) -> ContentScan:
    """The examination that an offered file has to go through."""
    return ContentScan(file_type, {*request.digests, *({"sha-256"} if policy.digest else ())})
