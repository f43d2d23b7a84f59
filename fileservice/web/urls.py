"""The absolute URLs that responses contain."""

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote
from wsgiref.util import application_uri

from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PARTS = ("wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME")
"""What the URL of an application is made of (PEP 3333, "URL Reconstruction")."""


def base_url(public_url: str | None, environ: "WSGIEnvironment | None" = None) -> str:
    """Return where the client of a request reaches the service, without a slash at the end.

    The request is that of Flask's context unless its environment is given.
    """
    if public_url:
        return public_url
    get = (environ or request.environ).get
    return _base_url(*map(get, _PARTS))


@lru_cache(maxsize=256)
def _base_url(*values: str | None) -> str:
    parts = {part: value for part, value in zip(_PARTS, values, strict=True) if value is not None}
    # Not request.root_url, which leaves out hosts whose names contain an underscore.
    return application_uri(parts).rstrip("/")


def download_url(base: str, name: str) -> str:
    """Return the URL of a stored file of the service that is reached at `base`."""
    return f"{base}/download/{quote(name, safe='')}"


def link_url(base: str, secret: str, name: str = "") -> str:
    """Return the URL of a link of the service that is reached at `base`, or that of its file."""
    return f"{base}/s/{secret}" + (f"/{quote(name, safe='')}" if name else "")
