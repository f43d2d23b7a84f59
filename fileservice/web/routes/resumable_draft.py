"""/resume/: resumable uploads by draft-ietf-httpbis-resumable-upload, interop version 8.

A request to /upload/<name> with Upload-Complete creates an upload; further bytes are sent to
/resume/<upload>. The uploads are the same as those of tus. Sections are those of the draft.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

from flask import Blueprint, Request, Response, after_this_request, request

from fileservice import wsgi_extensions
from fileservice.access import Action
from fileservice.protocols.digests import parse_digests
from fileservice.protocols.errors import (
    BadField,
    BodyError,
    CompletedUpload,
    IncompleteBody,
    InconsistentUploadLength,
    MismatchingUploadOffset,
)
from fileservice.protocols.resumable_draft import CONTENT_TYPE, complete, number
from fileservice.upload import (
    REJECTIONS,
    AppendRequest,
    DigestMismatch,
    OffsetMismatch,
    TooLarge,
    UploadRequest,
    UploadStatus,
    verified_blocks,
)
from fileservice.web import request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import requires
from fileservice.web.representations import completed_upload_headers, stored_response
from fileservice.web.responses import empty
from fileservice.web.urls import base_url, download_url
from fileservice.wsgi_extensions import SendInterimResponse

_INTEROP_VERSION = "8"
_PREFIX = "/resume/"


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes of uploads that have been created."""
    blueprint = Blueprint("resumable", __name__)
    uploads = dependencies.resumable_uploads
    upload_path = f"{_PREFIX}<upload:upload>"

    @blueprint.route(upload_path, methods=["GET", "HEAD"])
    @requires(Action.RESUME)
    def show(upload: str) -> Response:
        caller, is_read = dependencies.door.caller(request.environ), request.method == "GET"
        status = uploads.status(upload, caller, preempt=not is_read)
        fields = {"Cache-Control": "no-store"}
        if status.file and is_read:
            fields["Location"] = download_url(base_url(dependencies.public_url), status.file.name)
            return _status_response(dependencies, status, fields, code=303)
        return _status_response(dependencies, status, fields)

    @blueprint.patch(upload_path)
    @requires(Action.RESUME)
    def append(upload: str) -> Response:
        request_body.require_content_type(request.environ, CONTENT_TYPE)
        offset, final = number(request.headers, "Upload-Offset"), complete(request.headers)
        if offset is None or final is None:
            raise BadField("Upload-Offset and Upload-Complete are required to append to an upload")
        status = uploads.status(upload, dependencies.door.caller(request.environ))
        if status.has_ended:
            if request_body.declared_length(request.environ) == 0:
                raise CompletedUpload
            raise InconsistentUploadLength(
                "the upload is complete; more bytes would make it longer"
            )
        return _append(dependencies, status, offset, final=final)

    @blueprint.delete(upload_path)
    @requires(Action.RESUME)
    def cancel(upload: str) -> Response:
        uploads.cancel(upload, dependencies.door.caller(request.environ), preempt=True)
        return empty(204)

    return blueprint


def is_resumable(upload: Request) -> bool:
    """Return whether a request to /upload/<name> begins an upload that can be resumed.

    Upload-Complete asks for one. A client that sends the whole file can only resume it if it gets
    the URL in an interim response.
    """
    final = complete(upload.headers)
    return final is False or (final is True and _interim_response_sender(upload) is not None)


def create(dependencies: Dependencies, upload_request: UploadRequest) -> Response:
    """Create an upload from a request to /upload/<name>, and append its body (section 4.2)."""
    dependencies.sweeper.sweep_if_due()
    uploads = dependencies.resumable_uploads
    length = _declared_length(0)
    caller = upload_request.caller
    digests = parse_digests("Repr-Digest", request.headers.get("Repr-Digest"))
    upload_request = replace(upload_request, length=length, digests=digests)
    status = uploads.create(
        upload_request,
        length,
        {},
        explicit_completion=True,
        keep_published=False,  # the response is the final one and has no URL of an upload
        caller=caller,
    )
    if status.file:
        return _final_response(dependencies, status, created=False)
    informed = False
    try:
        if send_interim := _interim_response_sender(request):
            _inform(dependencies, status, send_interim)
            informed = True
        return _append(dependencies, status, 0, final=bool(complete(request.headers)))
    except BaseException as error:
        if not informed:
            uploads.remove(status)  # the client has no URL, so it cannot resume the upload
        elif isinstance(error, BodyError):
            uploads.cancel_if_empty(status.upload, caller)
        raise


def _inform(
    dependencies: Dependencies, status: UploadStatus, send_interim: SendInterimResponse
) -> None:
    """Send the URL of the upload in an interim response before reading the body (section 4.2.1)."""
    fields = {
        "Location": _url(dependencies, status),
        "Upload-Draft-Interop-Version": _INTEROP_VERSION,
        "Upload-Limit": _limit(dependencies, status),
    }
    try:
        send_interim("104 Upload Resumption Supported", fields)
    except OSError as error:
        raise IncompleteBody("the client closed the connection before the body") from error


def options_response(dependencies: Dependencies, methods: Iterable[str]) -> Response:
    """Return the response to OPTIONS for a resource that accepts uploads (section 4.1.4)."""
    fields = {
        "Allow": ", ".join(methods),
        "Accept-Patch": CONTENT_TYPE,
        "Upload-Limit": f"max-size={dependencies.policy.max_size}",
    }
    return empty(204, fields)


def _append(
    dependencies: Dependencies, status: UploadStatus, offset: int, *, final: bool
) -> Response:
    """Append the body of the request; `final` says that it is the rest of the file."""
    environ, uploads = request.environ, dependencies.resumable_uploads
    caller = dependencies.door.caller(environ)
    blocks: Iterable[memoryview] = request_body.blocks(environ, dependencies.idle_timeout)
    declared = parse_digests("Content-Digest", request.headers.get("Content-Digest"))
    if declared:
        blocks = verified_blocks(blocks, declared, dependencies.executor, DigestMismatch)
    try:
        append_request = AppendRequest(
            offset,
            blocks,
            content_length=request_body.declared_length(environ),
            interrupt=wsgi_extensions.request_body(environ).interrupt,
            length=_declared_length(offset),
            atomic=bool(declared),
            final=final,
            preempt=True,
            caller=caller,
        )
        status = uploads.append(status.upload, append_request)
    except OffsetMismatch as mismatch:
        raise MismatchingUploadOffset(mismatch.offset, offset) from None
    except TooLarge:
        uploads.cancel(
            status.upload, caller
        )  # section 4.4.2: it would exceed its length, so it is invalid
        raise
    except REJECTIONS:
        _add_upload_complete(final=final)
        raise
    if status.file:
        created = status.record.replaces is None
        return _final_response(dependencies, status, created=created)
    if request.method == "PATCH":
        return _status_response(dependencies, status, {})
    return _status_response(
        dependencies, status, {"Location": _url(dependencies, status)}, code=201
    )


def _add_upload_complete(*, final: bool) -> None:
    """Add Upload-Complete to the response that will report an error."""

    @after_this_request
    def add(response: Response) -> Response:
        response.headers["Upload-Complete"] = "?1" if final else "?0"
        return response


def _final_response(dependencies: Dependencies, status: UploadStatus, *, created: bool) -> Response:
    """Return what a request with the whole file to /upload/<name> would have returned."""
    assert status.file
    response = stored_response(status.file, base_url(dependencies.public_url), created=created)
    response.headers["Upload-Complete"] = "?1"
    return response


def _status_response(
    dependencies: Dependencies, status: UploadStatus, fields: dict[str, str], *, code: int = 204
) -> Response:
    file = status.file
    fields = fields | {
        "Upload-Offset": str(status.offset),
        "Upload-Complete": "?1" if file else "?0",
        "Upload-Limit": _limit(dependencies, status),
    }
    if status.record.length is not None:
        fields["Upload-Length"] = str(status.record.length)
    if file:
        fields |= completed_upload_headers(file, base_url(dependencies.public_url))
    return empty(code, fields)


def _declared_length(offset: int) -> int | None:
    """Return the length of the whole file by either indicator (section 4.1.3).

    None if the request has neither. Raises InconsistentUploadLength if it has both and they differ.
    """
    declared = number(request.headers, "Upload-Length")
    content_length = request_body.declared_length(request.environ)
    if not complete(request.headers) or content_length is None:
        return declared
    if declared is not None and declared != offset + content_length:
        raise InconsistentUploadLength("Upload-Length is not what Content-Length makes it")
    return offset + content_length


def _interim_response_sender(upload: Request) -> SendInterimResponse | None:
    """Return what sends interim responses, None if the client does not understand these."""
    version = upload.headers.get("Upload-Draft-Interop-Version", "").strip(" ")
    if version != _INTEROP_VERSION:
        return None
    return wsgi_extensions.interim_response_sender(upload.environ)


def _limit(dependencies: Dependencies, status: UploadStatus) -> str:
    seconds_left = max(0, int(status.expires - time.time()))
    return f"max-size={dependencies.policy.max_size}, max-age={seconds_left}"


def _url(dependencies: Dependencies, status: UploadStatus) -> str:
    return f"{base_url(dependencies.public_url)}{_PREFIX}{status.upload}"
