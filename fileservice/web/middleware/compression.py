"""Compress texts of the service itself for clients that accept it.

Stored files are never compressed: their length, ranges and digests are those of their bytes. No
text has both a secret and something that another site could choose, so that the length of the
compressed text reveals nothing: secrets are in answers to POST alone, which another site cannot
send, and on the pages of links, whose addresses have the same secret.
"""

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.executor import Executor
from fileservice.web.gzip_encoding import accepts_gzip, compress_blocks
from fileservice.web.hooks import Hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_TYPES = frozenset({"text/html", "application/json", "application/problem+json"})
_MIN_SIZE = 512
"""Bytes; less is sent as it is, since the head is larger than what compression would save."""


def register(hooks: Hooks, executor: Executor) -> None:
    """Compress answers to GET that are texts."""

    @hooks.after
    def compress(environ: "WSGIEnvironment", response: Response) -> None:
        is_read = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        is_stored_file = response.direct_passthrough  # it may have the type of one of our texts
        if is_stored_file or response.mimetype not in _TYPES or not is_read:
            return
        fields = response.headers
        fields["Vary"] = ", ".join(filter(None, (fields.get("Vary"), "Accept-Encoding")))
        if response.status_code == 304 or not accepts_gzip(environ):
            return
        if response.is_streamed:
            response.response = compress_blocks(response.iter_encoded(), executor)
        else:
            data = response.get_data()
            if len(data) < _MIN_SIZE:
                return
            response.set_data(b"".join(compress_blocks((data,), executor)))
        response.headers["Content-Encoding"] = "gzip"
