"""/tus/: resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from collections.abc import Iterable

from flask import Blueprint, Response, request

from fileservice import wsgi_extensions
from fileservice.access import Action
from fileservice.names import FileName
from fileservice.protocols import tus
from fileservice.protocols.conditional import format_date, required_tags
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import BadField, ChecksumMismatch, UnsupportedVersion
from fileservice.upload import AppendRequest, Caller, UploadRequest, UploadStatus, verified_blocks
from fileservice.web import query_arguments, request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import requires
from fileservice.web.expiry import ARGUMENT, requested_expiry
from fileservice.web.representations import completed_upload_headers
from fileservice.web.responses import empty
from fileservice.web.urls import base_url, download_url

_EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes of tus."""
    blueprint = Blueprint("tus", __name__)
    uploads = dependencies.resumable_uploads
    upload_path = f"{tus.PREFIX}<upload:upload>"

    @blueprint.before_request
    def check_version() -> None:
        is_for_anybody = request.method in ("GET", "OPTIONS")  # which are no calls of tus
        if not is_for_anybody and request.headers.get("Tus-Resumable") != tus.VERSION:
            raise UnsupportedVersion(tus.VERSION)

    @blueprint.after_app_request
    def add_version(response: Response) -> Response:
        if tus.is_below_prefix(request.path):  # also to errors of paths without a route
            response.headers["Tus-Resumable"] = tus.VERSION
        return response

    @blueprint.route(
        tus.PREFIX, methods=["OPTIONS"], provide_automatic_options=False, strict_slashes=False
    )
    @blueprint.route(upload_path, methods=["OPTIONS"], provide_automatic_options=False)
    @requires(Action.PUBLIC)
    def capabilities(**_upload: object) -> Response:
        return empty(
            204,
            {
                "Tus-Version": tus.VERSION,
                "Tus-Extension": ",".join(_EXTENSIONS),
                "Tus-Max-Size": str(dependencies.policy.max_size),
                "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
            },
        )

    @blueprint.post(tus.PREFIX, strict_slashes=False)
    @requires(Action.WRITE, query_arguments.OF_UPLOADS)
    def create() -> Response:
        dependencies.sweeper.sweep_if_due()
        parts = tus.parts(request.headers)
        status = _concatenate(dependencies, parts) if parts else _create(dependencies, parts)
        location = f"{base_url(dependencies.public_url)}{tus.PREFIX}{status.upload}"
        return _response(dependencies, status, {"Location": location}, code=201)

    @blueprint.route(upload_path, methods=["GET", "HEAD"])
    @requires(Action.RESUME)
    def show(upload: str) -> Response:
        status = uploads.status(upload, dependencies.door.caller(request.environ))
        length = status.record.length
        fields = {"Cache-Control": "no-store"} | dict(status.record.protocol_metadata)
        if length is None:
            fields["Upload-Defer-Length"] = "1"
        else:
            fields["Upload-Length"] = str(length)
        if status.file and request.method == "GET":
            fields["Location"] = download_url(base_url(dependencies.public_url), status.file.name)
            return _response(dependencies, status, fields, code=303)
        return _response(dependencies, status, fields, code=200)

    @blueprint.patch(upload_path)
    @requires(Action.RESUME)
    def append(upload: str) -> Response:
        request_body.require_content_type(request.environ, tus.CONTENT_TYPE)
        checksum = tus.Checksum.parse(request.headers)
        append_request = AppendRequest(
            tus.offset(request.headers),
            _body_blocks(dependencies, checksum),
            content_length=request_body.declared_length(request.environ),
            interrupt=wsgi_extensions.request_body(request.environ).interrupt,
            length=tus.number(request.headers, "Upload-Length"),
            atomic=checksum is not None,
            caller=dependencies.door.caller(request.environ),
        )
        status = uploads.append(upload, append_request)
        return _response(dependencies, status, {}, code=204)

    @blueprint.delete(upload_path)
    @requires(Action.RESUME)
    def terminate(upload: str) -> Response:
        uploads.cancel(upload, dependencies.door.caller(request.environ), preempt=True)
        return empty(204)

    return blueprint


def _concatenate(dependencies: Dependencies, parts: tuple[str, ...]) -> UploadStatus:
    if "Upload-Length" in request.headers or "Upload-Defer-Length" in request.headers:
        raise BadField("a final upload has the length of its parts")
    return dependencies.resumable_uploads.concatenate(
        _upload_request(dependencies, None, dependencies.door.caller(request.environ)),
        parts,
        _protocol_metadata(),
    )


def _create(dependencies: Dependencies, parts: tuple[str, ...] | None) -> UploadStatus:
    """Create an upload, and append the body of the request if there is one.

    `parts` is () for an upload that is to be concatenated with others, and so has no name.
    """
    uploads = dependencies.resumable_uploads
    length = tus.length(request.headers)
    content_length = _content_length()
    caller = dependencies.door.caller(request.environ)
    if parts is None:
        upload_request: UploadRequest | None = _upload_request(dependencies, length, caller)
    else:
        tus.metadata(request.headers)  # raises BadMetadata
        upload_request = None
    checksum = tus.Checksum.parse(request.headers)
    status = uploads.create(upload_request, length, _protocol_metadata(), caller=caller)
    if content_length == 0 or status.file:
        return status
    try:
        append_request = AppendRequest(
            0,
            _body_blocks(dependencies, checksum),
            content_length=content_length,
            interrupt=wsgi_extensions.request_body(request.environ).interrupt,
            atomic=checksum is not None,
            caller=caller,
        )
        return uploads.append(status.upload, append_request)
    except BaseException:
        uploads.remove(status)  # the response has no Location, so nobody can resume it
        raise


def _content_length() -> int | None:
    """Return the length of the body of a creation, None if it is chunked.

    A creation need not have a body; one that is there must have the content type of tus.
    """
    environ = request.environ
    if not environ.get("CONTENT_LENGTH") and not environ.get("HTTP_TRANSFER_ENCODING"):
        return 0
    content_length = request_body.declared_length(environ)
    if content_length != 0:
        request_body.require_content_type(environ, tus.CONTENT_TYPE)
    return content_length


def _body_blocks(dependencies: Dependencies, checksum: tus.Checksum | None) -> Iterable[memoryview]:
    """Return the blocks of the body, which raise ChecksumMismatch if they do not match."""
    blocks = request_body.blocks(request.environ, dependencies.idle_timeout)
    if checksum is None:
        return blocks
    declared = {checksum.algorithm: checksum.digest}
    return verified_blocks(blocks, declared, dependencies.executor, lambda _: ChecksumMismatch())


def _protocol_metadata() -> dict[str, str]:
    """Return the fields of a creation that HEAD must repeat."""
    names = ("Upload-Metadata", "Upload-Concat")
    return {name: request.headers[name] for name in names if name in request.headers}


def _upload_request(
    dependencies: Dependencies, length: int | None, caller: Caller
) -> UploadRequest:
    metadata = tus.metadata(request.headers)
    if_match = metadata.get("if-match")
    expires = metadata.get(ARGUMENT, b"").decode("latin-1")
    return UploadRequest(
        FileName.parse_bytes(metadata.get("filename", b"")),
        length,
        digests=declared_digests(request.headers),
        replaces=None if if_match is None else required_tags(if_match.decode("latin-1")),
        expires=requested_expiry(dependencies.policy, request.environ, expires),
        caller=caller,
    )


def _response(
    dependencies: Dependencies, status: UploadStatus, fields: dict[str, str], *, code: int
) -> Response:
    fields = fields | {"Upload-Offset": str(status.offset)}
    file = status.file
    if file:
        fields |= completed_upload_headers(file, base_url(dependencies.public_url))
    else:
        fields["Upload-Expires"] = format_date(int(status.expires))
    return empty(code, fields)
