"""Refuse requests that change something and come from pages of other sites.

A browser reaches the service on behalf of every page that is open in it, and adds what shows who
its user is. A form on any page could otherwise store files here, with the rights of whoever opens
the page: those of strangers at least.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request

from fileservice.web.errors import CrossSite
from fileservice.web.origins import AllowedOrigins

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site: a page of the service sent the request, or the user began it."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def register(app: Flask, origins: AllowedOrigins, public_url: str | None) -> None:
    """Make `app` raise CrossSite for such a request before its view is called."""

    @app.before_request
    def refuse() -> None:
        if is_foreign(request.environ, origins, public_url):
            raise CrossSite


def is_foreign(environ: Mapping[str, Any], origins: AllowedOrigins, public_url: str | None) -> bool:
    """Return whether a request changes something and comes from a page that may not do so.

    Browsers say where a request comes from in Sec-Fetch-Site (Fetch Metadata, section 2.3). Those
    that do not know the field, or whose connection is not encrypted, say it in Origin (Fetch
    standard, section 3.2). A client that sends neither is not a browser. `origins` are those whose
    pages may change something.
    """
    if environ["REQUEST_METHOD"] in _SAFE_METHODS:
        return False
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    if site is not None:
        own = site.strip().lower() in _OWN_SITE
    else:
        own = origin is None or _is_own(origin, environ.get("HTTP_HOST", ""), public_url)
    return not own and origins.permission(environ) is None


def _is_own(origin: str, host: str, public_url: str | None) -> bool:
    authority = _authority(origin)
    if not authority:
        return False  # `null`, the origin of pages that conceal theirs
    # The schemes are not compared: a proxy may have ended the encryption.
    default = _DEFAULT_PORTS.get(origin.partition(":")[0], "")
    return authority in (host.lower().removesuffix(default), _authority(public_url or ""))


def _authority(url: str) -> str:
    """Return the host and port of a URL, without the port if it is the default of the scheme."""
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return ""
    return parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
