"""Problems: the one table that turns what went wrong into an answer (RFC 9457)."""

import json
import logging
import secrets
from dataclasses import dataclass

from flask import Flask, Response, render_template
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.http import HTTP_STATUS_CODES

from fileservice import storage
from fileservice.names import BadName
from fileservice.protocols import tus
from fileservice.protocols.errors import (
    BadChecksum,
    BadDigestHeader,
    BadField,
    BadForm,
    BadMetadata,
    ChecksumMismatch,
    CompletedUpload,
    IncompleteBody,
    InconsistentUploadLength,
    MismatchingUploadOffset,
    MultipleFiles,
    NoFile,
    RangeNotSatisfiable,
    UnsupportedVersion,
)
from fileservice.protocols.ranges import unsatisfied_range
from fileservice.upload.errors import (
    ContentMismatch,
    DigestMismatch,
    ExtensionNotAllowed,
    InvalidConcatenation,
    LengthConflict,
    NoExtension,
    OffsetMismatch,
    PreconditionNotMet,
    Sealed,
    TooLarge,
    TooManyUnfinished,
    TooManyUnfinishedOfClient,
    UploadGone,
)
from fileservice.web.errors import (
    BadAddress,
    BadQuery,
    CrossSite,
    LengthRequired,
    NoSuchFile,
    Overloaded,
    PreconditionFailed,
    ShuttingDown,
    TooManySearches,
    TooSlow,
    WrongContentType,
    WrongHost,
)
from fileservice.web.requests import prefers_html
from fileservice.web.security_headers import ANSWER_HEADERS, PAGE_HEADERS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of problem; `retry_after` in seconds, `types` the beginning of its type's URI."""

    code: str
    status: int
    title: str
    raised: tuple[type[Exception], ...] = ()
    retry_after: int | None = None
    types: str = "urn:fileservice:problem:"


_IANA = "https://iana.org/assignments/http-problem-types#"

TABLE = (
    Row("no-file", 400, "No file in the form", (NoFile,)),
    Row("one-file-only", 400, "One file at a time", (MultipleFiles,)),
    Row("bad-form", 400, "The form cannot be read", (BadForm,)),
    Row("bad-name", 400, "The name cannot be used", (BadName,)),
    Row("no-extension", 400, "The name has no extension", (NoExtension,)),
    Row("bad-digest-header", 400, "The digest field cannot be read", (BadDigestHeader,)),
    Row("incomplete-body", 400, "The file is not complete", (IncompleteBody,)),
    Row("digest-mismatch", 400, "The digest does not match", (DigestMismatch,)),
    Row("bad-request", 400, "The request makes no sense",
        (BadQuery, BadAddress, BadField,
         LengthConflict)),
    Row("inconsistent-upload-length", 400, "Inconsistent Upload Length Values",
        (InconsistentUploadLength,), types=_IANA),
    Row("completed-upload", 400, "Upload Is Completed",
        (CompletedUpload,), types=_IANA),
    Row("bad-metadata", 400, "The metadata cannot be read", (BadMetadata,)),
    Row("bad-checksum", 400, "The checksum cannot be read", (BadChecksum,)),
    Row("bad-concat", 400, "The parts cannot be joined", (InvalidConcatenation,)),
    Row("forbidden", 403, "Not allowed", (Sealed,)),
    Row("cross-site", 403, "Not from pages of other sites", (CrossSite,)),
    Row("not-found", 404, "Not found",
        (storage.NotFound, storage.NoSuchUpload, NoSuchFile, NoSuchPath)),
    Row("method-not-allowed", 405, "Method not allowed", (MethodNotAllowed,)),
    Row("too-slow", 408, "The upload stalled", (TooSlow,)),
    Row("name-taken", 409, "The name is taken", (storage.NameTaken,)),
    Row("offset-mismatch", 409, "The upload stands elsewhere", (OffsetMismatch,)),
    Row("mismatching-upload-offset", 409, "Mismatching Upload Offset",
        (MismatchingUploadOffset,), types=_IANA),
    Row("upload-gone", 410, "The upload is no more", (UploadGone,)),
    Row("length-required", 411, "There is no body", (LengthRequired,)),
    Row("precondition-failed", 412, "A condition does not hold",
        (PreconditionNotMet, PreconditionFailed)),
    Row("tus-version", 412, "Another version of tus", (UnsupportedVersion,)),
    Row("too-large", 413, "The file is too large", (TooLarge,)),
    Row("extension-not-allowed", 415, "Not a kind of file taken here",
        (ExtensionNotAllowed,)),
    Row("content-mismatch", 415, "The content is not what the name says",
        (ContentMismatch,)),
    Row("wrong-content-type", 415, "The body is declared as something else",
        (WrongContentType,)),
    Row("range-not-satisfiable", 416, "No such bytes in the file", (RangeNotSatisfiable,)),
    Row("wrong-host", 421, "Not a name of this service", (WrongHost,)),
    Row("locked", 423, "The upload is in use", (storage.Locked,), retry_after=1),
    Row("too-many-requests", 429, "Too much at once", (TooManyUnfinishedOfClient,),
        retry_after=60),
    Row("checksum-mismatch", 460, "Checksum Mismatch", (ChecksumMismatch,)),
    Row("internal", 500, "Something went wrong here", (Exception,)),
    Row("busy", 503, "The service is busy",
        (storage.Busy, storage.NameReserved, TooManySearches, TooManyUnfinished,
         Overloaded),
        retry_after=2),
    Row("storage-unavailable", 503, "The storage does not answer", (storage.StorageUnavailable,),
        retry_after=10),
    Row("shutting-down", 503, "The service is being stopped", (ShuttingDown,),
        retry_after=10),
    Row("storage-full", 507, "No room left", (storage.StorageFull,)),
)  # fmt: skip

_BY_ERROR = {error: row for row in TABLE for error in row.raised}
_BY_STATUS = {row.status: row for row in reversed(TABLE)}


def register(app: Flask) -> None:
    """Have `app` answer every error from the table."""
    app.register_error_handler(Exception, answer)
    for template in app.jinja_env.list_templates():
        app.jinja_env.get_template(template)  # now: with no descriptors left it cannot be opened


def answer(error: Exception) -> Response:
    """The answer to `error`: JSON, or a page for those who prefer HTML."""
    row = _row_of(error)
    problem: dict[str, object] = {
        "type": row.types + row.code,
        "title": row.title,
        "status": row.status,
        "code": row.code,
    } | _facts(error, row)
    response = _page(problem) if prefers_html() else _json(problem)
    response.status = f"{row.status} {HTTP_STATUS_CODES.get(row.status, row.title)}"
    response.headers["Vary"] = "Accept"
    if row.retry_after:
        response.headers["Retry-After"] = str(row.retry_after)
    if isinstance(error, RangeNotSatisfiable):
        response.headers["Content-Range"] = unsatisfied_range(error.size)
    if isinstance(error, MismatchingUploadOffset):
        response.headers["Upload-Offset"] = str(error.expected_offset)
    if isinstance(error, TooLarge):
        response.headers["Upload-Limit"] = f"max-size={error.limit}"
    if isinstance(error, UnsupportedVersion):
        response.headers["Tus-Version"] = tus.VERSION
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _row_of(error: Exception) -> Row:
    kinds = type(error).__mro__
    row = next(_BY_ERROR[kind] for kind in kinds if kind in _BY_ERROR)
    if isinstance(error, HTTPException) and row.code == "internal":
        return _BY_STATUS.get(error.code or 500, row)
    return row


def _facts(error: Exception, row: Row) -> dict[str, object]:
    if isinstance(error, HTTPException):
        return {"detail": error.description}
    if row.code == "internal":
        incident = secrets.token_hex(6)
        _log.error("internal error %s", incident, exc_info=error)
        return {"detail": f"the log says more under the id {incident}", "id": incident}
    if row.status >= 500 and isinstance(error, storage.StorageError):
        # Of other refusals the access log has as many as anybody cares to provoke.
        _log.error("%s: %s", row.code, storage.describe_error(error))
    facts = {name.replace("_", "-"): value for name, value in vars(error).items()}
    return {"detail": str(error)} | facts


def _json(problem: dict[str, object]) -> Response:
    return Response(
        json.dumps(problem) + "\n",
        content_type="application/problem+json",
        headers=ANSWER_HEADERS,
    )


def _page(problem: dict[str, object]) -> Response:
    return Response(
        render_template("problem.html", problem=problem),
        mimetype="text/html",
        headers=PAGE_HEADERS | {"Cache-Control": "no-store"},
    )
