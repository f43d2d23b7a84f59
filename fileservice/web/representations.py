"""How a stored file is described to clients: in JSON, and in header fields."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response
from werkzeug.datastructures import Headers

from fileservice.names import FileName
from fileservice.protocols.conditional import Validators, format_date
from fileservice.protocols.digests import repr_digest
from fileservice.storage import StoredFile
from fileservice.web.security_headers import JSON_HEADERS
from fileservice.web.urls import download_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_LOADED_INTO_PAGES = re.compile(
    r"(?:text|application)/(?:x-)?(?:java|ecma|j|live)script[0-9.]*|text/css", re.IGNORECASE
)
"""The types of JavaScript (MIME Sniffing standard, section 4.6), and that of style sheets."""


_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make one each time


def to_json(file: StoredFile, base: str) -> dict[str, str | int | None]:
    """Return the JSON object of a file of the service that is reached at the URL `base`."""
    return {
        "filename": file.name,
        "url": download_url(base, file.name),
        "size": file.size,
        "type": file.content.media_type,
        "modified": _rfc3339(file.modified),
        "expires": None if file.expires is None else _rfc3339(file.expires),
        "digest": repr_digest(file.content.sha256),
    }


class CompleteResponse(Response):
    """A response whose header fields are complete, and are sent as they are."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002
        return self.headers


class _StoredResponse(Response):
    """A short text, with all of its header fields, that answers a request that is not HEAD."""

    def __call__(
        self,
        environ: "WSGIEnvironment",  # noqa: ARG002
        start_response: "StartResponse",
    ) -> Iterable[bytes]:
        start_response(self.status, self.headers.to_wsgi_list())
        return self.iter_encoded()


def stored_response(file: StoredFile, base: str, *, created: bool) -> Response:
    """Return the response to a finished upload: 201 if it created the file, and otherwise 200.

    Then it replaced another file, or repeated an earlier upload (RFC 9110 section 9.3.4).
    """
    described = to_json(file, base)
    data = f"{_encode(described)}\n".encode("ascii")
    fields = JSON_HEADERS | {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        "ETag": etag(file),
        "Location": str(described["url"]),
    }
    if described["digest"]:
        fields["Repr-Digest"] = str(described["digest"])
    return _StoredResponse((data,), "201 CREATED" if created else "200 OK", Headers(fields))


def etag(file: StoredFile) -> str:
    """Return the strong entity tag of a file (RFC 9110 section 8.8.3)."""
    return f'"{file.version}"'


def content_type(file: StoredFile) -> str:
    """Return the value of Content-Type.

    A browser loads a script or a style sheet into a page, or as a worker, only if it has such a
    type (Fetch standard, section 2.2.6). So that no page of the service can be made to load a
    stored one, they are served as plain text.
    """
    media_type = file.content.media_type
    if _LOADED_INTO_PAGES.fullmatch(media_type):
        media_type = "text/plain"
    charset = file.content.charset
    return f"{media_type}; charset={charset}" if charset else media_type


@lru_cache(maxsize=1024)
def content_disposition(kind: str, name: FileName) -> str:
    """Return the value of Content-Disposition, `kind` being `inline` or `attachment` (RFC 6266).

    It has the name twice: as it is, and in ASCII for clients that read nothing else, among them
    curl (section 4.3). The ASCII form has an underscore for each character that is not ASCII, and
    for those that clients interpret in different ways (appendix D).
    """
    plain = re.sub(r'[^ -~]|["\\%]', "_", name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def representation_headers(file: StoredFile) -> dict[str, str]:
    """Return ETag, and Repr-Digest if the digest is known (RFC 9530)."""
    digest = repr_digest(file.content.sha256)
    return {"ETag": etag(file)} | ({"Repr-Digest": digest} if digest else {})


def sunset(file: StoredFile) -> dict[str, str]:
    """Return the field that says when the file expires (RFC 8594), if it does."""
    return {} if file.expires is None else {"Sunset": format_date(file.expires)}


def completed_upload_headers(file: StoredFile, base: str) -> dict[str, str]:
    """Return what a response about a complete resumable upload says of the file that it became."""
    location = {"Content-Location": download_url(base, file.name)}
    return representation_headers(file) | sunset(file) | location


def validators(file: StoredFile) -> Validators:
    """Return the validators that the conditions of a request are evaluated against."""
    return Validators(etag=etag(file), modified=file.modified)


@lru_cache(maxsize=64)
def _rfc3339(seconds: int) -> str:
    """Return a time, given in seconds since the Unix epoch, as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
