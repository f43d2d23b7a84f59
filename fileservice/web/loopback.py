"""Whether a request certainly comes from a program on this machine."""

from typing import TYPE_CHECKING

from fileservice.addresses import host_of, is_loopback, parse_address
from fileservice.web.requests import client_address, is_behind_proxies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_PROXY_FIELDS = frozenset({"HTTP_VIA", "HTTP_FORWARDED", "HTTP_X_REAL_IP"})
_PROXY_PREFIX = "HTTP_X_FORWARDED_"
_BROWSER_FIELDS = frozenset({"HTTP_ORIGIN", "HTTP_REFERER"})


def is_from_this_machine(environ: "WSGIEnvironment") -> bool:
    """Return whether a program on this machine, and neither a proxy nor a page, asks.

    A proxy on this machine has a loopback address as well, whoever its client is. A page that a
    browser on this machine shows can send requests to every address that the machine has. So
    nothing of what either adds to a request may be there, and Host must be a name that the machine
    has for itself: a proxy usually passes on the one that its client has used, and a page of
    another site whose name resolves to this machine has that name in it. Where the operator has
    set up proxies, nothing is certain: one that works in TCP passes on the Host of its client.
    """
    if is_behind_proxies(environ):
        return False
    try:
        if not parse_address(client_address(environ)).is_loopback:
            return False
        if not is_loopback(host_of(environ.get("HTTP_HOST", ""))):
            return False
    except ValueError:
        return False
    if any(name in _PROXY_FIELDS or name.startswith(_PROXY_PREFIX) for name in environ):
        return False
    is_by_page = environ.get("HTTP_SEC_FETCH_SITE", "none") != "none"
    return not is_by_page and _BROWSER_FIELDS.isdisjoint(environ)
