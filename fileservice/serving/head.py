"""Checks on the head of a request that gunicorn's parsers leave to the server."""

import re
from urllib.parse import urlsplit

from fileservice.serving.gunicorn_api import Request, errors, replace_host

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]*)?")
_LOGGED_BYTES = 256


def check_head(request: Request) -> None:
    """Raise UnsupportedTransferCoding, InvalidHeader or InvalidRequestLine for a bad head.

    A target in absolute-form replaces Host (RFC 9112 section 3.2.2).
    """
    host = None
    for name, value in request.headers:
        if name == "HOST":
            host = value
        elif name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise errors.UnsupportedTransferCoding("the only transfer coding taken here is chunked")
    if not _HOST.fullmatch(host or "") and (host or request.version >= (1, 1)):
        raise errors.InvalidHeader("HOST")  # RFC 9112 section 3.2
    if not request.uri.startswith("/") and "://" in request.uri:
        authority = urlsplit(request.uri).netloc
        if not _HOST.fullmatch(authority):
            raise errors.InvalidRequestLine(request.uri)
        replace_host(request, authority)


def request_line(head: bytes) -> str:
    """Return the first line of a head for the log, or the first 256 bytes of it."""
    return head.lstrip(b"\r\n").partition(b"\r\n")[0][:_LOGGED_BYTES].decode("latin-1")
