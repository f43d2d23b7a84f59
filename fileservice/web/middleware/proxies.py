"""The address at which a client reached the service, and the address of the client.

Host gives the first. Behind a proxy the X-Forwarded fields give both; they are believed if the
operator trusts the proxy. PUBLIC_URL takes precedence over Host and the fields.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask

from fileservice.addresses import Network, in_any, is_authority, is_prefix, parse_address
from fileservice.web.errors import BadAddress
from fileservice.web.hooks import Hooks
from fileservice.web.requests import mark_behind_proxies, mark_trusted_peer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ERROR = "fileservice.bad_address"
_MAX_HOPS = 32
"""Trusted proxies that X-Forwarded-For may name; to look for an address in networks takes time."""


def register(app: Flask, hooks: Hooks, trusted: Sequence[Network], public_url: str | None) -> None:
    """Make `app` see each request as its client sent it, and raise BadAddress if it cannot.

    To be called when all routes are registered, and before middleware that looks at addresses.
    """
    own_segments = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    app.wsgi_app = ClientAddresses(  # type: ignore[method-assign]
        app.wsgi_app, trusted, public_url, own_segments
    )

    @hooks.before
    def refuse(environ: "WSGIEnvironment") -> None:
        error = environ.get(_ERROR)
        if error:
            raise error


class ClientAddresses:
    """WSGI middleware that sets what the environment says about the client's side of all proxies.

    HTTP_HOST, wsgi.url_scheme, SCRIPT_NAME and REMOTE_ADDR become what the client sent and is, and
    the environment keeps whether the peer, whose address REMOTE_ADDR was, is a trusted proxy. If
    the fields of a request are invalid, they are left out, and the environment has the error.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        trusted: Sequence[Network],
        public_url: str | None,
        own_segments: AbstractSet[str],
    ) -> None:
        """`own_segments` are the first segments of the paths that the application has."""
        self._app = app
        self._trusted = tuple(trusted)
        self._public_path = None if public_url is None else urlsplit(public_url).path
        # Most proxies remove the path of PUBLIC_URL. If one does not, it is removed here. Where the
        # application has paths that begin in the same way, such as /files, it is removed only from
        # those that go on with another one of its paths, unless that could be the name of a file.
        self._own_segments = {segment for segment in own_segments if "." not in segment} - {""}
        self._begins_like_own = _first_segment(self._public_path or "") in own_segments

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            _check_host(environ)
            if self._trusted and self._is_trusted(environ.get("REMOTE_ADDR", "")):
                mark_trusted_peer(environ)
                environ.update(forwarded(environ, self._trusted))
        except BadAddress as error:
            environ[_ERROR] = error
            environ.pop("HTTP_HOST", None)
        if self._trusted or self._public_path is not None:
            mark_behind_proxies(environ)
        name = environ["SERVER_NAME"]
        if ":" in name and not name.startswith("["):  # RFC 3875 section 4.1.14 requires brackets
            environ["SERVER_NAME"] = f"[{name}]"
        if self._public_path is not None:
            self._set_prefix(environ, self._public_path)
        return self._app(environ, start_response)

    def _is_trusted(self, peer: str) -> bool:
        if not peer:  # the peer on a Unix socket, which only this machine reaches
            return True
        try:
            return in_any(peer, self._trusted)
        except ValueError:
            return False

    def _set_prefix(self, environ: "WSGIEnvironment", prefix: str) -> None:
        environ["SCRIPT_NAME"] = prefix
        path = environ.get("PATH_INFO", "")
        if not prefix or not f"{path}/".startswith(f"{prefix}/"):
            return
        rest = path.removeprefix(prefix) or "/"
        if not self._begins_like_own or _first_segment(rest) in self._own_segments:
            environ["PATH_INFO"] = rest


def _first_segment(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]


def forwarded(environ: "WSGIEnvironment", trusted: tuple[Network, ...]) -> dict[str, str]:
    """Return what the X-Forwarded fields of a trusted proxy change in the environment.

    Each proxy appends the address of its peer to X-Forwarded-For. The client is the last address
    in the field that is not a trusted proxy's; the client may have invented those before it, so
    they are not looked at. Of X-Forwarded-Proto and X-Forwarded-Host, the value counts that the
    proxy next to the client appended, or the first if some proxies appended none. The prefixes are
    joined, since each proxy removed its own. Raises BadAddress.
    """
    changes: dict[str, str] = {}
    hops = 0
    for text in reversed(_values(environ, "FOR")):
        hops += 1
        if hops > _MAX_HOPS:
            raise BadAddress(f"X-Forwarded-For names more than {_MAX_HOPS} trusted proxies")
        changes["REMOTE_ADDR"] = _client(text)
        if not in_any(changes["REMOTE_ADDR"], trusted):
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
    """Return the elements of a list that are not empty (RFC 9110 section 5.6.1.2)."""
    values = environ.get(f"HTTP_X_FORWARDED_{field}", "").split(",")
    return [value for value in (value.strip(" \t") for value in values) if value]


def _client(text: str) -> str:
    try:
        return str(parse_address(text))
    except ValueError:
        raise BadAddress(f"X-Forwarded-For has something that is no address: {text!r}") from None


def _check_host(environ: "WSGIEnvironment") -> None:
    """Raise BadAddress if Host is invalid (RFC 9112 section 3.2)."""
    host = environ.get("HTTP_HOST")
    if host and not is_authority(host):
        raise BadAddress("Host is no host with or without a port")
