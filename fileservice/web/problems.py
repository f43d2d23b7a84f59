"""Problem details (RFC 9457): the one table that maps errors to the responses that report them."""

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.http import HTTP_STATUS_CODES

from fileservice import access, integrity, storage, upload
from fileservice.names import BadName
from fileservice.protocols import errors as protocol
from fileservice.protocols import tus
from fileservice.protocols.ranges import unsatisfied_range
from fileservice.request_record import record_of
from fileservice.web import errors as web
from fileservice.web.audit import audit
from fileservice.web.localization import language_of
from fileservice.web.other_address import address_for
from fileservice.web.problem_texts import translate
from fileservice.web.representations import CompleteResponse
from fileservice.web.requests import is_by_page, prefers_html
from fileservice.web.security_headers import JSON_HEADERS, NOT_EMBEDDED

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of problem, and the errors that are reported as it."""

    code: str
    status: int
    title: str
    raised: Mapping[type[Exception], tuple[str, ...]]
    """The error classes. The names are those of the extension members that the problem of such an
    error has (section 3.2); the values are attributes of the error (`_attribute`)."""
    header_fields: Callable[[Any, "WSGIEnvironment"], Mapping[str, str | list[str]]] = (
        lambda _error, _environ: {}
    )
    """Make further header fields from the error and the environment of the request; each element of
    a list is a line of its own."""
    retry_after: int | None = None
    """Seconds."""
    type_prefix: str = "urn:fileservice:problem:"
    """The URI of the problem type (section 3.1.1) is this, followed by the code."""


_CHALLENGES = ['Bearer realm="fileservice"', 'Basic realm="fileservice"']
"""Two lines of one field, since Chromium does not look for a second challenge in a line."""
_IANA = "https://iana.org/assignments/http-problem-types#"


def _allow(error: web.WrongMethod, _environ: "WSGIEnvironment") -> Mapping[str, str]:
    return {"Allow": ", ".join(error.allowed)} if error.allowed else {}


def _challenges(error: Exception, environ: "WSGIEnvironment") -> Mapping[str, list[str]]:
    """Return the ways to authenticate (RFC 9110 section 11.6.1).

    Browsers ask for a password when Basic is among them. That is of no use in the middle of what a
    page does, which leads to the page for signing in, and on that page itself.
    """
    is_in_page = isinstance(error, access.PasswordNeeded) and prefers_html(environ)
    without_basic = isinstance(error, web.SignInRejected) or is_in_page or is_by_page(environ)
    challenges = _CHALLENGES[:1] if without_basic else _CHALLENGES
    if isinstance(error, access.PasswordNeeded) and not without_basic:
        challenges = _CHALLENGES[1:]  # curl sends a password if it is asked for one
    return {"WWW-Authenticate": challenges}


def _retry_after(error: Exception, _environ: "WSGIEnvironment") -> Mapping[str, str]:
    """Replace the seconds of a row by those that are known exactly."""
    seconds: int | None = getattr(error, "retry_after", None)
    return {"Retry-After": str(seconds)} if seconds else {}


TABLE = (
    Row("no-file", 400, "No file in the form", {protocol.NoFile: ()}),
    Row("one-file-only", 400, "One file at a time", {protocol.MultipleFiles: ()}),
    Row("bad-form", 400, "The form cannot be read", {protocol.BadForm: ()}),
    Row("bad-name", 400, "The name cannot be used", {BadName: ()}),
    Row("no-extension", 400, "The name has no extension", {upload.NoExtension: ()}),
    Row("bad-digest-header", 400, "The digest field cannot be read",
        {protocol.BadDigestHeader: ()}),
    Row("incomplete-body", 400, "The file is not complete",
        {protocol.IncompleteBody: (), protocol.ChunkedUpload: ("dialect",)}),
    Row("digest-mismatch", 400, "The digest does not match",
        {upload.DigestMismatch: ("algorithm",)}),
    Row("bad-request", 400, "The request makes no sense",
        {web.BadQuery: (), web.UnknownArgument: ("argument", "known"), web.BadAddress: (),
         protocol.BadField: (), access.InvalidIdentity: (), access.InvalidTerms: ("member",),
         web.BadJSON: (), upload.LengthConflict: ("length",), BadRequest: ()}),
    Row("inconsistent-upload-length", 400, "Inconsistent Upload Length Values",
        {protocol.InconsistentUploadLength: ()}, type_prefix=_IANA),
    Row("completed-upload", 400, "Upload Is Completed",
        {protocol.CompletedUpload: ()}, type_prefix=_IANA),
    Row("bad-metadata", 400, "The metadata cannot be read", {protocol.BadMetadata: ()}),
    Row("bad-expiry", 400, "The file cannot expire then",
        {protocol.BadExpiry: (), upload.ExpiryTooLate: ("limit",), upload.AlreadyExpired: ()}),
    Row("bad-checksum", 400, "The checksum cannot be read", {protocol.BadChecksum: ()}),
    Row("bad-concat", 400, "The parts cannot be joined", {upload.InvalidConcatenation: ()}),
    Row("sign-in-failed", 400, "You are not signed in",
        {web.SignInFailed: (), access.UnusableClaims: ()}),
    Row("unauthenticated", 401, "Credentials are needed",
        {access.Unauthenticated: (), access.PasswordNeeded: (), web.SignInRejected: ()},
        _challenges),
    Row("forbidden", 403, "Not allowed",
        {access.Forbidden: (), upload.UploadIsFinal: (), web.UnknownPerson: ()}),
    Row("cross-site", 403, "Pages of other sites may not do this",
        {web.CrossSite: (), web.ForeignForm: (), web.Unasked: ()}),
    Row("not-found", 404, "Not found",
        {storage.NotFound: ("filename",), web.NoSuchFile: ("filename",), storage.NoSuchUpload: (),
         access.NoSuchLink: (), NoSuchPath: ()}),
    Row("method-not-allowed", 405, "Method not allowed",
        {web.WrongMethod: ("method",), web.MethodElsewhere: ("method", "address")}, _allow),
    Row("too-slow", 408, "The upload stalled", {web.TooSlow: ()}),
    Row("name-taken", 409, "The name is taken", {storage.NameTaken: ("filename",)}),
    Row("offset-mismatch", 409, "The upload has another offset",
        {upload.OffsetMismatch: ("offset",)}),
    Row("mismatching-upload-offset", 409, "Mismatching Upload Offset",
        {protocol.MismatchingUploadOffset: ("expected-offset", "provided-offset")},
        lambda error, _: {"Upload-Offset": str(error.expected_offset)}, type_prefix=_IANA),
    Row("upload-gone", 410, "The upload has ended", {upload.UploadGone: ()}),
    Row("link-gone", 410, "The link is not valid any more", {access.LinkGone: ()}),
    Row("length-required", 411, "There is no body", {web.LengthRequired: ()}),
    Row("precondition-failed", 412, "A condition is false",
        {upload.PreconditionNotMet: (), storage.VersionChanged: ("filename",),
         web.PreconditionFailed: ()}),
    Row("tus-version", 412, "Another version of tus",
        {protocol.UnsupportedVersion: ()}, lambda _error, _: {"Tus-Version": tus.VERSION}),
    Row("too-large", 413, "The file is too large",
        {upload.TooLarge: ("limit",)},
        lambda error, _: {"Upload-Limit": f"max-size={error.limit}"}),
    Row("extension-not-allowed", 415, "Files of this type are not accepted",
        {upload.ExtensionNotAllowed: ("extension", "allowed")}),
    Row("content-mismatch", 415, "The content is not what the name says",
        {upload.ContentMismatch: ("expected", "found")}),
    Row("wrong-content-type", 415, "The body is declared as something else",
        {web.WrongContentType: ("expected",)}),
    Row("range-not-satisfiable", 416, "The file has none of these bytes",
        {protocol.RangeNotSatisfiable: ("size",)},
        lambda error, _: {"Content-Range": unsatisfied_range(error.size)}),
    Row("wrong-host", 421, "Not a name of this service", {web.WrongHost: ("host",)}),
    Row("too-complex", 422, "The file is too complex",
        {upload.TooComplex: ("resource", "limit")}),
    Row("content-refused", 422, "The file contains what is not accepted",
        {upload.ContentRefused: ("risk", "found")}),
    Row("refused-by-scanner", 422, "The virus scanner has found something",
        {upload.RefusedByScanner: ("signature",)}),
    Row("refused-by-hook", 422, "The file is not accepted",
        {upload.RefusedByHook: ("reason",)}),
    Row("locked", 423, "The upload is in use", {storage.Locked: ()}, retry_after=1),
    Row("too-many-requests", 429, "Too much at once",
        {access.TooManyRequests: (), upload.TooManyUnfinishedOfClient: ("limit",)},
        _retry_after, retry_after=60),
    Row("checksum-mismatch", 460, "Checksum Mismatch", {protocol.ChecksumMismatch: ()}),
    Row("internal", 500, "Internal error", {Exception: ()}),
    Row("file-damaged", 500, "The file is damaged", {integrity.FileDamaged: ("filename",)}),
    Row("expiry-not-supported", 501, "Files cannot expire here",
        {storage.ExpiryNotSupported: ()}),
    Row("busy", 503, "The service is busy",
        {storage.Busy: (), storage.NameReserved: ("filename",),
         upload.TooManyUnfinished: ("limit",), upload.TooManyChecks: (),
         access.TooManyUploads: ("limit",), access.UsageUnknown: (), web.TooManySearches: (),
         web.Overloaded: ()},
        retry_after=2),
    Row("sign-out-incomplete", 503, "You are signed out in this browser only",
        {web.SignOutIncomplete: ()}),
    Row("storage-unavailable", 503, "The storage does not answer",
        {storage.StorageUnavailable: ()}, retry_after=10),
    Row("audit-unavailable", 503, "What is done cannot be recorded at present",
        {web.AuditUnavailable: ()}, retry_after=10),
    Row("not-ready", 503, "The service is not ready", {web.NotReady: ()}, retry_after=10),
    Row("provider-unavailable", 503, "Signing in does not work at present",
        {web.ProviderUnavailable: ()}, retry_after=30),
    Row("scanner-unavailable", 503, "The virus scanner does not work at present",
        {upload.ScannerUnavailable: ()}, retry_after=30),
    Row("hook-unavailable", 503, "Files cannot be checked at present",
        {upload.HookUnavailable: ()}, retry_after=30),
    Row("shutting-down", 503, "The service is being stopped",
        {web.ShuttingDown: ()}, retry_after=10),
    Row("storage-full", 507, "The storage is full", {storage.StorageFull: ()}),
    Row("quota-exceeded", 507, "The quota is exceeded",
        {access.QuotaExceeded: ("resource", "limit", "used", "available"),
         access.OwnerQuotaExceeded: (), access.TooManyLinks: ("limit",)}),
)  # fmt: skip

_REFUSALS = frozenset({"unauthenticated", "forbidden", "cross-site", "too-many-requests"})
"""Problems that the audit log has: somebody may have tried what it may not do."""
_BY_ERROR = {error: row for row in TABLE for error in row.raised}
_BY_STATUS = {row.status: row for row in reversed(TABLE)}


def problem_response(
    environ: "WSGIEnvironment",
    error: Exception,
    page: Callable[[Mapping[str, object], Exception], Response],
) -> Response:
    """Return the response that reports `error`: JSON, or a page for clients that prefer HTML.

    Both are in the language that Accept-Language prefers; programs seldom send it, and get English.
    `page` makes the page of the members of a problem.
    """
    if isinstance(error, MethodNotAllowed):
        error = _wrong_method(environ, error)
    listed = next(kind for kind in type(error).__mro__ if kind in _BY_ERROR)
    row, members = _BY_ERROR[listed], _BY_ERROR[listed].raised[listed]
    fields = row.header_fields(error, environ)
    if isinstance(error, HTTPException) and row.code == "internal":
        row = _BY_STATUS.get(error.code or 500, row)
    record = record_of(environ)
    record.problem = row.code
    if row.code in _REFUSALS:
        try:
            audit(environ, "refused", action=record.action, problem=row.code)
        except web.AuditUnavailable as unavailable:  # nobody may try credentials unaudited
            return problem_response(environ, unavailable, page)
    problem: Mapping[str, object] = {
        "type": row.type_prefix + row.code,
        "title": row.title,
        "status": row.status,
        "code": row.code,
        **_detail(error, row),
        **{name: getattr(error, _attribute(name)) for name in members},
        "request-id": record.id,
    }
    problem = translate(problem, error, language_of(environ))
    response = page(problem, error) if prefers_html(environ) else _json(problem)
    response.status = f"{row.status} {HTTP_STATUS_CODES.get(row.status, row.title)}"
    response.headers["Vary"] = "Accept"
    if row.retry_after:
        response.headers["Retry-After"] = str(row.retry_after)
    response.headers.update(fields)
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        response.headers.update(NOT_EMBEDDED)
    return response


def _wrong_method(environ: "WSGIEnvironment", error: MethodNotAllowed) -> web.WrongMethod:
    """Return the error of the service for one of the router."""
    allowed, address = sorted(error.valid_methods or ()), address_for(environ)
    if address:
        return web.MethodElsewhere(environ["REQUEST_METHOD"], allowed, address)
    return web.WrongMethod(environ["REQUEST_METHOD"], allowed)


def _attribute(member: str) -> str:
    """Return the attribute of an error that is the value of a member of its problem."""
    return "name" if member == "filename" else member.replace("-", "_")


def _detail(error: Exception, row: Row) -> dict[str, object]:
    """Return the member `detail`, and `id` with it for errors that only the log explains."""
    if isinstance(error, HTTPException):
        return {"detail": error.description}
    if row.code == "internal":
        incident = secrets.token_hex(6)
        _log.error("internal error %s", incident, exc_info=error)
        return {"detail": f"the log says more under the id {incident}", "id": incident}
    if row.status >= 500 and isinstance(error, storage.StorageError):
        # Others are not logged here: anybody can provoke them, and the request log has them.
        _log.error("%s: %s", row.code, storage.describe_error(error))
    return {"detail": str(error)}


def _json(problem: Mapping[str, object]) -> Response:
    return CompleteResponse(
        json.dumps(problem) + "\n",
        content_type="application/problem+json",
        headers=JSON_HEADERS,
    )
