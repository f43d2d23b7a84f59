"""Answer only to the names that the service is known by.

A page of any site can have its own name lead to this machine (DNS rebinding), and is then of the
service's own origin as far as a browser can tell. The name that it sends in Host gives it away.
"""

import ipaddress
from collections.abc import Collection

from flask import Flask, request

from fileservice.addresses import Network, host_of, in_any
from fileservice.web.errors import WrongHost


def register(app: Flask, allowed: Collection[str | Network]) -> None:
    """Have `app` raise WrongHost for hosts that are not `allowed`; see `AllowedHosts`."""
    if "*" in allowed:
        return
    hosts = AllowedHosts(allowed)

    @app.before_request
    def refuse() -> None:
        host = request.environ.get("HTTP_HOST", "")
        if host not in hosts:
            raise WrongHost(host)


class AllowedHosts:
    """Host names, `*.example.org` for all names below one, and networks of addresses.

    The machine's names for itself are always among them: only who is on it can use them, health
    checks above all. A request without a host comes from no browser.
    """

    def __init__(self, allowed: Collection[str | Network]) -> None:
        texts = [entry.lower() for entry in allowed if isinstance(entry, str)]
        self._networks = tuple(entry for entry in allowed if not isinstance(entry, str))
        self._names = {"localhost", *(text for text in texts if not text.startswith("*"))}
        self._endings = (".localhost", *(text[1:] for text in texts if text.startswith("*")))

    def __contains__(self, host: str) -> bool:
        """Whether this value of Host, perhaps with a port, is allowed."""
        if not host:
            return True
        try:
            name = host_of(host)
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names or name.endswith(self._endings)
        return address.is_loopback or address.is_unspecified or in_any(name, self._networks)
