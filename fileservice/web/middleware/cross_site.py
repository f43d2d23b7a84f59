"""Refuse what pages of other sites make a browser ask for, where it would change something.

Whoever can reach the service may use it, and a browser reaches it for every page that is open in
it: a form there could store files here.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request

from fileservice.web.errors import CrossSite

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OWN_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site for a request from a page of ours, and for one that the person began."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def register(app: Flask, origins: Collection[str], public_url: str | None) -> None:
    """Have `app` raise CrossSite before anything else is done about such a request."""

    @app.before_request
    def refuse() -> None:
        if is_foreign(request.environ, origins, public_url):
            raise CrossSite


def is_foreign(
    environ: Mapping[str, Any], origins: Collection[str], public_url: str | None
) -> bool:
    """Whether a request changes something and comes from a page that is not to do so.

    Browsers tell where a request comes from in Sec-Fetch-Site (Fetch Metadata, section 2.3); those
    that do not, and those that talk to us unencrypted, in Origin (Fetch standard, section 3.2).
    What sends neither is no browser. `origins` are those whose pages may; `*` stands for all.
    """
    if environ["REQUEST_METHOD"] in _SAFE_METHODS:
        return False
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    if site is not None:
        own = site.strip().lower() in _OWN_SITE
    else:
        own = origin is None or _is_own(origin, environ.get("HTTP_HOST", ""), public_url)
    return not own and "*" not in origins and origin not in origins


def _is_own(origin: str, host: str, public_url: str | None) -> bool:
    authority = _authority(origin)
    if not authority:
        return False  # `null`, which pages have that keep their origin to themselves
    # A proxy may have ended the encryption: the scheme that is seen here proves nothing.
    default = _DEFAULT_PORTS.get(origin.partition(":")[0], "")
    return authority in (host.lower().removesuffix(default), _authority(public_url or ""))


def _authority(url: str) -> str:
    """Host and port of a URL; the port is left out where it is the one that its scheme has."""
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return ""
    return parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
