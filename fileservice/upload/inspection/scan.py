"""ContentScan: the type and the digests of a file, determined while its bytes pass once."""

import hashlib
from collections.abc import Iterable
from typing import Any

from fileservice.executor import RunCpu
from fileservice.filetypes import FileType
from fileservice.storage import StagedFile
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.inspector import Inspector, Verdict
from fileservice.upload.policy import UploadPolicy, UploadRequest

Block = bytes | memoryview

_READ_SIZE = 1 << 20


class ContentScan:
    """The inspection and the digests of one file, of which the first `size` bytes were scanned."""

    def __init__(
        self, file_type: FileType, algorithms: Iterable[str], policy: ContentPolicy
    ) -> None:
        self._inspector = Inspector(file_type, policy)
        self._hashes: dict[str, Any] = {
            name: getattr(hashlib, name.replace("-", ""))() for name in set(algorithms)
        }
        self.size = 0
        self.has_failed = False
        """Whether it has not seen all of a block, so that it cannot be used any more."""

    @property
    def hashes(self) -> bool:
        """Whether any digest is computed."""
        return bool(self._hashes)

    def inspect(self, block: Block) -> None:
        """Inspect the next block. Raises what `Inspector.feed` does."""
        try:
            self._inspector.feed(block)
        except BaseException:
            self.has_failed = True
            raise

    def hash(self, block: Block) -> None:
        """Add the next block to the digests."""
        for computed in self._hashes.values():
            computed.update(block)

    def catch_up(self, staged: StagedFile, run_cpu: RunCpu) -> None:
        """Scan the staged bytes that it has not seen. Raises what `Inspector.feed` does."""
        while self.size < staged.size:
            block = staged.read_at(min(_READ_SIZE, staged.size - self.size), self.size)
            if not block:
                raise EOFError("the staged file is shorter than it was")
            run_cpu(self.inspect, block)
            run_cpu(self.hash, block)
            self.size += len(block)

    def verdict(self, staged: StagedFile, run_cpu: RunCpu) -> Verdict:
        """Return what the complete file is. Raises what `Inspector.conclude` does."""
        return self._inspector.conclude(staged, run_cpu)

    def digests(self) -> dict[str, bytes]:
        """Return the digests of all scanned bytes, by their names in RFC 9530."""
        return {name: computed.digest() for name, computed in self._hashes.items()}


def begin_scan(request: UploadRequest, policy: UploadPolicy) -> ContentScan:
    """Return a scan that computes the digests which the client or the operator wants.

    Raise NoExtension or ExtensionNotAllowed.
    """
    algorithms = {*request.digests, *({"sha-256"} if policy.digest else ())}
    return ContentScan(policy.file_type(request.name), algorithms, policy.content)
