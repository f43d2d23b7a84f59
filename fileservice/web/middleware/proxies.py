"""Under which address a client has reached the service, and from where it has asked.

Host tells the first; behind a proxy the X-Forwarded fields do, which are believed from the proxies
that the operator names and from nobody else. PUBLIC_URL stands above both.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request

from fileservice.addresses import Network, in_any, is_authority, is_prefix, parse_address
from fileservice.web.errors import BadAddress

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_REFUSED = "fileservice.bad_address"


class ClientAddresses:
    """WSGI middleware: set what an environment tells of the client's side of all proxies.

    HTTP_HOST, wsgi.url_scheme, SCRIPT_NAME and REMOTE_ADDR are then what the client knows them as.
    A request whose fields make no sense goes on without them, for `refuse_bad_addresses`.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        networks: Sequence[Network],
        public_url: str | None,
        own_segments: Collection[str],
    ) -> None:
        """`own_segments` are those with which the paths of the service begin."""
        self._app = app
        self._networks = tuple(networks)
        self._public_path = None if public_url is None else urlsplit(public_url).path
        # A proxy usually removes the path of PUBLIC_URL. From one that does not, it is removed
        # here, unless the rest could not be told from a path of our own.
        first = (self._public_path or "").partition("/")[2].partition("/")[0]
        self._removes_path = bool(first) and first not in own_segments

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            _check_host(environ)
            if self._networks and self._trusts(environ.get("REMOTE_ADDR", "")):
                environ.update(forwarded(environ, self._networks))
        except BadAddress as error:
            environ[_REFUSED] = error
            environ.pop("HTTP_HOST", None)
        name = environ["SERVER_NAME"]
        if ":" in name and not name.startswith("["):  # as RFC 3875 section 4.1.14 has it
            environ["SERVER_NAME"] = f"[{name}]"
        if self._public_path is not None:
            self._place(environ, self._public_path)
        return self._app(environ, start_response)

    def _trusts(self, peer: str) -> bool:
        try:
            return in_any(peer, self._networks)
        except ValueError:  # a Unix socket's peer has no address; only this machine reaches it
            return True

    def _place(self, environ: "WSGIEnvironment", prefix: str) -> None:
        environ["SCRIPT_NAME"] = prefix
        path = environ.get("PATH_INFO", "")
        if self._removes_path and f"{path}/".startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"


def refuse_bad_addresses() -> None:
    """Raise BadAddress for such a request; to be called before anything else is done with it."""
    error = request.environ.get(_REFUSED)
    if error:
        raise error


def forwarded(environ: "WSGIEnvironment", networks: tuple[Network, ...]) -> dict[str, str]:
    """What the X-Forwarded fields change in the environment of a request by a trusted proxy.

    Each proxy adds the address of its peer to X-Forwarded-For, so the last is right, and the one
    before it if the last is a trusted proxy's, and so on: the client is the first, from the right,
    that is no trusted proxy. Whatever stands left of it, it may have made up itself, and it is not
    looked at. Of the other fields that value counts which the proxy next to the client has added,
    or the first if some proxies have added none. Prefixes follow each other, since each proxy has
    removed its own. Raises BadAddress.
    """
    changes: dict[str, str] = {}
    hops = 0
    for text in reversed(_values(environ, "FOR")):
        hops += 1
        changes["REMOTE_ADDR"] = _client(text)
        if not in_any(changes["REMOTE_ADDR"], networks):
            break
    hops = max(1, hops)
    if scheme := _values(environ, "PROTO")[-hops:]:
        changes["wsgi.url_scheme"] = scheme[0].lower()
        if changes["wsgi.url_scheme"] not in ("http", "https"):
            raise BadAddress(f"X-Forwarded-Proto is neither http nor https: {scheme[0]!r}")
    if host := _values(environ, "HOST")[-hops:]:
        changes["HTTP_HOST"] = host[0]
        if not is_authority(host[0]):
            raise BadAddress(f"X-Forwarded-Host is no host with or without a port: {host[0]!r}")
    if prefixes := _values(environ, "PREFIX")[-hops:]:
        changes["SCRIPT_NAME"] = "".join(prefix.removesuffix("/") for prefix in prefixes)
        if not all(is_prefix(prefix.removesuffix("/")) for prefix in prefixes):
            raise BadAddress(f"X-Forwarded-Prefix is no plain path: {', '.join(prefixes)!r}")
    return changes


def _values(environ: "WSGIEnvironment", field: str) -> list[str]:
    """The members of a list (RFC 9110 section 5.6.1), of which empty ones do not count."""
    values = environ.get(f"HTTP_X_FORWARDED_{field}", "").split(",")
    return [value for value in (value.strip(" \t") for value in values) if value]


def _client(text: str) -> str:
    try:
        return str(parse_address(text))
    except ValueError:
        raise BadAddress(f"X-Forwarded-For has something that is no address: {text!r}") from None


def _check_host(environ: "WSGIEnvironment") -> None:
    """Raise BadAddress for a Host that is none (RFC 9112 section 3.2)."""
    host = environ.get("HTTP_HOST")
    if host and not is_authority(host):
        raise BadAddress("Host is no host with or without a port")
