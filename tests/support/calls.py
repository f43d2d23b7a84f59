"""Every call of the service: how it is made, and the scopes that it needs.

The scopes are written down from the contract, "Who may do what" and "Permissions" in docs/http.md,
and from nothing in the code, so that the two can be compared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from tests.support.tus import BYTES, VERSION, encoded, named
from tests.support.wire import form, part

TEXT = b"some text\n"
LENGTH = str(2 * len(TEXT))
"""Of an unfinished upload to which TEXT is appended: it stays unfinished."""

PUBLIC: frozenset[str] = frozenset()
ANY = frozenset({"any"})
"""Whoever has some scope may make the call, and so may whoever has credentials."""
LINK = frozenset({"link"})
"""The link whose secret is in the path makes the call, whatever other credentials there are."""
NO_LINK = "x" * 43
"""The secret of no link."""


@dataclass(frozen=True)
class Request:
    """A request without its credentials."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """A kind of request: `request(name, upload)` makes one for a file or for an upload."""

    method: str
    rule: str
    needs: frozenset[str]
    request: Callable[[str, str], Request]
    status: int
    """That of the answer if the call is allowed and nothing else is in its way."""
    expects: str = ""
    """What must be there: the `file`, the `upload`, or `no file` of the name."""
    names_file: bool = True
    """Whether a prefix applies, since the request names a file."""
    declares: frozenset[str] | None = None
    """The scopes that the route declares, if its view needs more of such a request."""
    name_is_in_body: bool = False
    """Whether the name is only known when a part of the body has been read."""


def _call(
    method: str,
    rule: str,
    needs: frozenset[str] | str,
    status: int,
    path: str = "",
    *,
    headers: Mapping[str, str] = {},  # never changed
    body: bytes = b"",
    **options: object,
) -> Call:
    def request(name: str, upload: str) -> Request:
        target = (path or rule).format(name=quote(name, safe=""), upload=upload)
        return Request(method, target, headers, body)

    scopes = frozenset({needs}) if isinstance(needs, str) else needs
    return Call(method, rule, scopes, request, status, **options)  # type: ignore[arg-type]


def _with_form(more: Mapping[str, str] = {}) -> Callable[[str, str], Request]:
    def request(name: str, _upload: str) -> Request:
        fields = {"Content-Type": "multipart/form-data; boundary=XboundaryX"} | more
        return Request("POST", "/upload", fields, form(part("file", TEXT, name)))

    return request


def _with_form_of_link(name: str, upload: str) -> Request:
    return replace(_with_form()(name, upload), path=f"/s/{NO_LINK}")


def _creation(more: Mapping[str, str] = {}, body: bytes = b"") -> Callable[[str, str], Request]:
    def request(name: str, _upload: str) -> Request:
        return Request(
            "POST", "/tus/", VERSION | {"Upload-Length": LENGTH} | named(name) | more, body
        )

    return request


def _creation_that_replaces(name: str, _upload: str) -> Request:
    metadata = f"filename {encoded(name)},if-match {encoded('*')}"
    fields = VERSION | {"Upload-Length": LENGTH, "Upload-Metadata": metadata}
    return Request("POST", "/tus/", fields)


_UPLOAD_RULE = "/upload/<new_file:name>"
_DOWNLOAD_RULE = "/download/<stored_file:name>"
_TUS_RULE = "/tus/<upload:upload>"
_LINK_RULE = "/links/<link:link_id>"
_RESUME_RULE = "/resume/<upload:upload>"
_FILE, _NO_FILE, _UPLOAD = {"expects": "file"}, {"expects": "no file"}, {"expects": "upload"}
_NO_NAME = {"names_file": False}
_WRITE, _REPLACE = frozenset({"write"}), frozenset({"write", "delete"})
_ANY_VERSION = {"If-Match": "*"}
_OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
_OWN = _UPLOAD | _NO_NAME
_TUS_BYTES = VERSION | BYTES | {"Upload-Offset": "0"}
_DRAFT_BYTES = {
    "Content-Type": "application/partial-upload",
    "Upload-Offset": "0",
    "Upload-Complete": "?0",
}

CALLS = {
    "link: page": _call("GET", "/s/<link_secret>", LINK, 404, f"/s/{NO_LINK}", **_NO_NAME),
    "link: password": _call("POST", "/s/<link_secret>/password", LINK, 404,
                            f"/s/{NO_LINK}/password", body=b"password=x",
                            headers={"Content-Type": "application/x-www-form-urlencoded"},
                            **_NO_NAME),
    "link: form": Call("POST", "/s/<link_secret>", LINK, _with_form_of_link, 404,
                       names_file=False),
    "link: download": _call("GET", "/s/<link_secret>/<stored_file:name>", LINK, 404,
                            f"/s/{NO_LINK}/{{name}}", names_file=False),
    "root": _call("GET", "/", PUBLIC, 302, **_NO_NAME),
    "page": _call("GET", "/upload", ANY, 200, **_NO_NAME),
    "list": _call("GET", "/download", "list", 200, **_NO_NAME),
    "list: page": _call("GET", "/download", "list", 200, "/download?limit=5&q=a", **_NO_NAME),
    "list: head": _call("HEAD", "/download", "list", 200, **_NO_NAME),
    "form": Call("POST", "/upload", frozenset({"write"}), _with_form(), 201, "no file",
                 name_is_in_body=True),
    "form: replace": Call("POST", "/upload", _REPLACE, _with_form(_ANY_VERSION), 200,
                          "file", declares=_WRITE, name_is_in_body=True),
    "put": _call("PUT", _UPLOAD_RULE, "write", 201, "/upload/{name}", body=TEXT, **_NO_FILE),
    "post": _call("POST", _UPLOAD_RULE, "write", 201, "/upload/{name}", body=TEXT, **_NO_FILE),
    "put: replace": _call("PUT", _UPLOAD_RULE, _REPLACE, 200, "/upload/{name}", body=TEXT,
                          headers=_ANY_VERSION, declares=_WRITE, **_FILE),
    "post: replace": _call("POST", _UPLOAD_RULE, _REPLACE, 200, "/upload/{name}", body=TEXT,
                           headers=_ANY_VERSION, declares=_WRITE, **_FILE),
    "draft: replace": _call("POST", _UPLOAD_RULE, _REPLACE, 201, "/upload/{name}", body=TEXT,
                            headers=_ANY_VERSION | {"Upload-Complete": "?0"}, declares=_WRITE,
                            **_FILE),
    "draft: create": _call("POST", _UPLOAD_RULE, "write", 201, "/upload/{name}", body=TEXT,
                           headers={"Upload-Complete": "?0"}, **_NO_FILE),
    "download": _call("GET", _DOWNLOAD_RULE, "read", 200, "/download/{name}", **_FILE),
    "download: range": _call("GET", _DOWNLOAD_RULE, "read", 206, "/download/{name}",
                             headers={"Range": "bytes=1-2"}, **_FILE),
    "download: condition": _call("GET", _DOWNLOAD_RULE, "read", 304, "/download/{name}",
                                 headers={"If-None-Match": "*"}, **_FILE),
    "head": _call("HEAD", _DOWNLOAD_RULE, "read", 200, "/download/{name}", **_FILE),
    "index": _call("GET", "/files/", "list", 200, **_NO_NAME),
    "index: without slash": _call("GET", "/files", PUBLIC, 308, **_NO_NAME),
    "index: file": _call("GET", "/files/<stored_file:name>", "read", 200, "/files/{name}", **_FILE),
    "archive": _call("GET", "/archive.zip", "read", 200, "/archive.zip?name={name}", **_FILE),
    "delete": _call("DELETE", _DOWNLOAD_RULE, "delete", 204, "/download/{name}", **_FILE),
    "delete: condition": _call("DELETE", _DOWNLOAD_RULE, "delete", 412, "/download/{name}",
                               headers={"If-Match": '"x"'}, **_FILE),
    "tus: create": Call("POST", "/tus/", frozenset({"write"}), _creation(), 201, "no file"),
    "tus: replace": Call("POST", "/tus/", _REPLACE, _creation_that_replaces, 201, "file",
                         declares=_WRITE),
    "tus: create with upload": Call("POST", "/tus/", frozenset({"write"}),
                                    _creation(BYTES, TEXT), 201, "no file"),
    "tus: create a part": _call("POST", "/tus/", "write", 201, **_NO_NAME, headers=VERSION
                                | {"Upload-Length": LENGTH, "Upload-Concat": "partial"}),
    "tus: offset": _call("HEAD", _TUS_RULE, "write", 200, "/tus/{upload}",
                         headers=VERSION, **_OWN),
    "tus: show": _call("GET", _TUS_RULE, "write", 200, "/tus/{upload}", **_OWN),
    "tus: append": _call("PATCH", _TUS_RULE, "write", 204, "/tus/{upload}",
                         headers=_TUS_BYTES, body=TEXT, **_UPLOAD),
    "tus: terminate": _call("DELETE", _TUS_RULE, "write", 204, "/tus/{upload}",
                            headers=VERSION, **_OWN),
    "draft: offset": _call("HEAD", _RESUME_RULE, "write", 204, "/resume/{upload}", **_OWN),
    "draft: show": _call("GET", _RESUME_RULE, "write", 204, "/resume/{upload}", **_OWN),
    "draft: append": _call("PATCH", _RESUME_RULE, "write", 204, "/resume/{upload}",
                           headers=_DRAFT_BYTES, body=TEXT, **_UPLOAD),
    "draft: cancel": _call("DELETE", _RESUME_RULE, "write", 204, "/resume/{upload}", **_OWN),
    # Without anything that it is to allow, which is looked at when everything else is in order.
    "links: make": _call("POST", "/links", "share", 400, body=b"{}",
                         headers={"Content-Type": "application/json"}, **_NO_NAME),
    "links: list": _call("GET", "/links", "share", 200, **_NO_NAME),
    "links: show": _call("GET", _LINK_RULE, "share", 404, f"/links/{'0' * 32}", **_NO_NAME),
    "links: revoke": _call("DELETE", _LINK_RULE, "share", 404, f"/links/{'0' * 32}", **_NO_NAME),
    "sign-in page": _call("GET", "/sign-in", PUBLIC, 200, **_NO_NAME),
    # Without the type of a form, which is looked at when everything else is in order.
    "sign in": _call("POST", "/sign-in", PUBLIC, 415, headers=_OWN_PAGE, **_NO_NAME),
    "sign out": _call("POST", "/sign-out", PUBLIC, 303, headers=_OWN_PAGE, **_NO_NAME),
    "provider": _call("GET", "/sign-in/oidc", PUBLIC, 404, **_NO_NAME),  # there is none
    "from provider": _call("GET", "/sign-in/oidc/callback", PUBLIC, 404, **_NO_NAME),
    "openapi": _call("GET", "/openapi.json", PUBLIC, 200, **_NO_NAME),
    "docs": _call("GET", "/docs", PUBLIC, 200, **_NO_NAME),
    "health": _call("GET", "/healthz", PUBLIC, 200, **_NO_NAME),
    "alive": _call("GET", "/livez", PUBLIC, 200, **_NO_NAME),
    "ready": _call("GET", "/readyz", PUBLIC, 200, **_NO_NAME),
    # From another machine, for which the proxy speaks; from this one, nothing is needed.
    "metrics": _call("GET", "/metrics", "admin", 200, headers={"X-Forwarded-For": "192.0.2.1"},
                     **_NO_NAME),
    "asset": _call("GET", "/assets/<version>/<path:filename>", PUBLIC, 404, "/assets/0/page.css",
                   **_NO_NAME),
}  # fmt: skip
"""At least one call for every method of every route. HEAD needs what GET needs, and OPTIONS, which
a browser sends without credentials, needs nothing."""
