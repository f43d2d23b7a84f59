"""Refuse requests that change something and come from pages of other sites.

A browser reaches the service on behalf of every page that is open in it, and adds what shows who
its user is. A form on any page could otherwise store files here, with the rights of whoever opens
the page: those of the anonymous principal at least.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fileservice.web.errors import CrossSite
from fileservice.web.hooks import Hooks
from fileservice.web.link_cookies import PREFIX
from fileservice.web.origins import AllowedOrigins
from fileservice.web.own_pages import is_from_own_page

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def register(hooks: Hooks, origins: AllowedOrigins, public_url: str | None) -> None:
    """Raise CrossSite for such a request."""

    @hooks.before
    def refuse(environ: "WSGIEnvironment") -> None:
        if is_foreign(environ, origins, public_url):
            raise CrossSite


def is_foreign(environ: Mapping[str, Any], origins: AllowedOrigins, public_url: str | None) -> bool:
    """Return whether a request changes something and comes from a page that may not do so.

    A client that does not say where a request comes from is not a browser. `origins` are those
    whose pages may change something.
    """
    if environ["REQUEST_METHOD"] in _SAFE_METHODS:
        return False
    is_own = is_from_own_page(environ, public_url) is not False or _may_be_page_of_link(environ)
    return not is_own and origins.permission(environ) is None


def _may_be_page_of_link(environ: Mapping[str, Any]) -> bool:
    """Return whether the form of a link may have sent a request that conceals its origin.

    Pages of links have a policy (`no-referrer`) with which browsers send `Origin: null` (Fetch
    standard, section 3.2), and nothing else over a connection that is not encrypted. Another page
    would have to know the secret of the link, and could use it without this browser then; what the
    browser adds are cookies of the link, which it does not send with a form of another site.
    """
    return (
        environ.get("PATH_INFO", "").startswith(PREFIX)
        and environ.get("HTTP_ORIGIN") == "null"
        and "HTTP_SEC_FETCH_SITE" not in environ
    )
