"""Verify the digests of a body while its blocks pass."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from fileservice.executor import Executor


def verified_blocks(
    blocks: Iterable[memoryview],
    declared: Mapping[str, bytes],
    executor: Executor,
    mismatch: Callable[[str], Exception],
) -> Iterator[memoryview]:
    """Yield `blocks`, and raise at their end unless they have the `declared` digests.

    `declared` maps the names of algorithms to digests. Without its hyphens, a name is one that
    `hashlib.new` knows (sha-256, md5). The error is what `mismatch` returns for the name of the
    algorithm whose digest differs.
    """
    hashes = {
        algorithm: hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
        for algorithm in declared
    }
    for block in blocks:
        for computed in hashes.values():
            executor.run_io(computed.update, block)
        yield block
    for algorithm, computed in hashes.items():
        if computed.digest() != declared[algorithm]:
            raise mismatch(algorithm)
