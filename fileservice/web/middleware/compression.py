"""Compress texts of the service itself for clients that accept it.

Stored files are never compressed: their length, ranges and digests are those of their bytes. No
text has both a secret and something that another site could choose, so that the length of the
compressed text reveals nothing: secrets are in answers to POST alone, which another site cannot
send, and on the pages of links, whose addresses have the same secret.
"""

from flask import Flask, Response, request

from fileservice.executor import Executor
from fileservice.web.gzip_encoding import accepts_gzip, compress_blocks

_TYPES = frozenset({"text/html", "application/json", "application/problem+json"})
_MIN_SIZE = 512
"""Bytes; less is sent as it is, since the head is larger than what compression would save."""


def register(app: Flask, executor: Executor) -> None:
    """Make `app` compress its answers to GET that are texts."""

    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype not in _TYPES or request.method not in ("GET", "HEAD"):
            return response
        response.vary.add("Accept-Encoding")
        if response.status_code == 304 or not accepts_gzip():
            return response
        if response.is_streamed:
            response.response = compress_blocks(response.iter_encoded(), executor)
        else:
            data = response.get_data()
            if len(data) < _MIN_SIZE:
                return response
            response.set_data(b"".join(compress_blocks((data,), executor)))
        response.headers["Content-Encoding"] = "gzip"
        return response
