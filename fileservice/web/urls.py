"""The absolute URLs that responses contain."""

from typing import TYPE_CHECKING
from urllib.parse import quote
from wsgiref.util import application_uri

from flask import request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def base_url(public_url: str | None, environ: "WSGIEnvironment | None" = None) -> str:
    """Return where the client of a request reaches the service, without a slash at the end.

    The request is that of Flask's context unless its environment is given.
    """
    # Not request.root_url, which leaves out hosts whose names contain an underscore.
    return public_url or application_uri(environ or request.environ).rstrip("/")


def download_url(base: str, name: str) -> str:
    """Return the URL of a stored file of the service that is reached at `base`."""
    return f"{base}/download/{quote(name, safe='')}"


def link_url(base: str, secret: str, name: str = "") -> str:
    """Return the URL of a link of the service that is reached at `base`, or that of its file."""
    return f"{base}/s/{secret}" + (f"/{quote(name, safe='')}" if name else "")
