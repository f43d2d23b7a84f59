"""Refuse requests that change something and come from pages of other sites.

Whoever can reach the service may use it. A browser reaches it on behalf of every page that is open
in it, so a form on any page could store files here.
"""

from collections.abc import Collection, Mapping
from typing import Any

from flask import Flask, request

from fileservice.web.errors import CrossSite
from fileservice.web.own_pages import is_from_own_page

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def register(app: Flask, origins: Collection[str], public_url: str | None) -> None:
    """Make `app` raise CrossSite for such a request before its view is called."""

    @app.before_request
    def refuse() -> None:
        if is_foreign(request.environ, origins, public_url):
            raise CrossSite


def is_foreign(
    environ: Mapping[str, Any], origins: Collection[str], public_url: str | None
) -> bool:
    """Return whether a request changes something and comes from a page that may not do so.

    A client that does not say where a request comes from is not a browser. `origins` are those
    whose pages may change something; `*` stands for all.
    """
    if environ["REQUEST_METHOD"] in _SAFE_METHODS:
        return False
    if is_from_own_page(environ, public_url) is not False:
        return False
    origin = environ.get("HTTP_ORIGIN")
    return "*" not in origins and origin not in origins
