"""The content coding gzip (RFC 9110 section 8.4.1.3)."""

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from fileservice.executor import Executor

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SIZE_ON_THE_LOOP = 16 * 1024
"""Bytes that are compressed by the thread that handles the request, in less than a millisecond."""
_LEVEL = 5
_WINDOW = 16 + zlib.MAX_WBITS
"""Makes zlib write the header of gzip."""
_MAX_ACCEPT_LENGTH = 512


def accepts_gzip(environ: "WSGIEnvironment") -> bool:
    """Return whether the client of a request accepts gzip. An overlong field counts as no."""
    field = environ.get("HTTP_ACCEPT_ENCODING", "")
    if not field or len(field) > _MAX_ACCEPT_LENGTH:
        return False
    return parse_accept_header(field, Accept).quality("gzip") > 0


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
