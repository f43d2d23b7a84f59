"""Which address takes a method that another address does not take."""

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_OF_A_FILE = {
    "GET": "/download/",
    "HEAD": "/download/",
    "DELETE": "/download/",
    "PUT": "/upload/",
    "POST": "/upload/",
}
"""Method → what the name of a file follows in the address that takes it."""
_OF_ALL_FILES = {"GET": "/download", "HEAD": "/download", "POST": "/upload"}
_OF_UPLOADS = ("tus", "resume")
_NAME, _UPLOAD, _LINK = "<name>", "<upload>", "<link_id>"


def address_for(environ: "WSGIEnvironment") -> str | None:
    """Return the path of the address that does what a request has asked of another one.

    `<name>` in it, and its like, stand for what the request has not said. None if there is no such
    address, or if it is the one that was asked.
    """
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    address = _address(method, path)
    if address is None or address == path:
        return None
    prefix: str = environ.get("SCRIPT_NAME", "")
    return prefix + quote(address.encode("latin-1"), safe="/<>")


def _address(method: str, path: str) -> str | None:
    _, resource, *rest = [*path.split("/", 2), "", ""]
    name = rest[0]
    if resource in ("upload", "download", "files"):
        if method == "PATCH":
            return f"/resume/{_UPLOAD}"
        if not name and method in _OF_ALL_FILES:
            return _OF_ALL_FILES[method]
        return _OF_A_FILE[method] + (name or _NAME) if method in _OF_A_FILE else None
    if resource in _OF_UPLOADS:
        if method in ("PATCH", "DELETE") and not name:
            return f"/{resource}/{_UPLOAD}"
        if method in ("POST", "PUT"):
            return "/tus/" if resource == "tus" else f"/upload/{_NAME}"
    if resource == "links":
        if method == "DELETE":
            return f"/links/{_LINK}"
        if method == "POST":
            return "/links"
    return None
