"""The content coding gzip (RFC 9110 section 8.4.1.3)."""

import zlib
from collections.abc import Iterable, Iterator

from flask import request

from fileservice.executor import Executor

_SIZE_ON_THE_LOOP = 16 * 1024
"""Bytes that are compressed by the thread that handles the request, in less than a millisecond."""
_LEVEL = 5
_WINDOW = 16 + zlib.MAX_WBITS
"""Makes zlib write the header of gzip."""
_MAX_ACCEPT_LENGTH = 512


def accepts_gzip() -> bool:
    """Return whether the client of this request accepts gzip. An overlong field counts as no."""
    if len(request.environ.get("HTTP_ACCEPT_ENCODING", "")) > _MAX_ACCEPT_LENGTH:
        return False
    return request.accept_encodings.quality("gzip") > 0


def compress(data: bytes) -> bytes:
    """Return `data` compressed as well as gzip can; for what is sent many times."""
    compressor = zlib.compressobj(zlib.Z_BEST_COMPRESSION, wbits=_WINDOW)
    return compressor.compress(data) + compressor.flush()


def compress_blocks(blocks: Iterable[bytes], executor: Executor) -> Iterator[bytes]:
    """Compress what is sent once."""
    compressor = zlib.compressobj(_LEVEL, wbits=_WINDOW)
    for block in blocks:
        if len(block) > _SIZE_ON_THE_LOOP:
            compressed = executor.run_cpu(compressor.compress, block)
        else:
            compressed = compressor.compress(block)
        if compressed:
            yield compressed
    yield compressor.flush()
