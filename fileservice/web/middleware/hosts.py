"""Answer only requests for the host names of the service.

A page of any site can make its own name resolve to this machine (DNS rebinding). To a browser, the
page and the service then have the same origin; only Host shows the foreign name.
"""

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING

from fileservice.addresses import Network, host_of, in_any
from fileservice.web.errors import WrongHost
from fileservice.web.hooks import Hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def register(hooks: Hooks, allowed: Collection[str | Network]) -> None:
    """Raise WrongHost for a host that is not `allowed` (see `AllowedHosts`).

    If `*` is among them, every host is allowed.
    """
    if "*" in allowed:
        return
    is_allowed = lru_cache(maxsize=256)(AllowedHosts(allowed).__contains__)

    @hooks.before
    def refuse(environ: "WSGIEnvironment") -> None:
        host = environ.get("HTTP_HOST", "")
        if not is_allowed(host):
            raise WrongHost(host)


class AllowedHosts:
    """Host names, `*.example.org` for all names below one, and networks of addresses.

    The names by which a machine refers to itself are always allowed: only programs on it can use
    them, health checks above all. So is a request without a host, which no browser sends.
    """

    def __init__(self, allowed: Collection[str | Network]) -> None:
        texts = [entry.lower() for entry in allowed if isinstance(entry, str)]
        self._networks = tuple(entry for entry in allowed if not isinstance(entry, str))
        self._names = {"localhost", *(text for text in texts if not text.startswith("*"))}
        self._suffixes = (".localhost", *(text[1:] for text in texts if text.startswith("*")))

    def __contains__(self, host: str) -> bool:
        """Return whether this value of Host, with or without a port, is allowed."""
        if not host:
            return True
        try:
            name = host_of(host)
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names or name.endswith(self._suffixes)
        return address.is_loopback or address.is_unspecified or in_any(name, self._networks)
