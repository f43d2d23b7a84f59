"""Resumable uploads for HTTP: draft-ietf-httpbis-resumable-upload, interop version 8.

A request to /upload/<name> that carries Upload-Complete begins an upload; its bytes can go on at
/resume/<id>. The same engine as for tus; sections named here are those of the draft.
"""

import time
from collections.abc import Iterable

from flask import Blueprint, Request, Response, request

from fileservice.protocols.digests import parse_digests
from fileservice.protocols.errors import (
    BadAppend,
    BodyError,
    Completed,
    IncompleteBody,
    InconsistentLength,
    MismatchingOffset,
)
from fileservice.protocols.resumable_draft import CONTENT_TYPE, complete, number
from fileservice.upload import UploadRequest
from fileservice.upload.errors import DigestMismatch, OffsetMismatch, TooLarge
from fileservice.upload.resumable.service import REFUSALS, Status
from fileservice.upload.verified_blocks import verified_blocks
from fileservice.web import problems, request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.representations import representation_headers, stored_response
from fileservice.web.requests import client_address, interrupt_of
from fileservice.web.responses import empty
from fileservice.web.urls import base_url, download_url

_INTEROP_VERSION = "8"
_PREFIX = "/resume/"


def routes(dependencies: Dependencies) -> Blueprint:
    """The routes of uploads that have begun."""
    blueprint = Blueprint("resumable", __name__)
    uploads = dependencies.resumable_uploads

    @blueprint.route(f"{_PREFIX}<upload:upload>", methods=["HEAD"])
    def head(upload: str) -> Response:
        return _answer(dependencies, uploads.settle(upload), {"Cache-Control": "no-store"})

    @blueprint.patch(f"{_PREFIX}<upload:upload>")
    def append(upload: str) -> Response:
        request_body.require_content_type(request.environ, CONTENT_TYPE)
        offset, final = number(request.headers, "Upload-Offset"), complete(request.headers)
        if offset is None or final is None:
            raise BadAppend
        found = uploads.status(upload)
        if not found.record.open:
            if request_body.declared_length(request.environ) == 0:
                raise Completed
            raise InconsistentLength("the upload is complete; more bytes would make it longer")
        return _take_in(dependencies, found, offset, final=final)

    @blueprint.delete(f"{_PREFIX}<upload:upload>")
    def cancel(upload: str) -> Response:
        uploads.cancel(upload, preempt=True)
        return empty(204)

    return blueprint


def wanted(asked: Request) -> bool:
    """Whether the client wants an upload that can be resumed, and can be told where.

    A client that sends all of it at once learns of the upload from an interim answer or never.
    """
    final = complete(asked.headers)
    return final is False or (final is True and _can_be_informed(asked))


def begin(dependencies: Dependencies, upload_request: UploadRequest) -> Response:
    """Create an upload from the request to the file's own address (section 4.2)."""
    dependencies.sweeper.sweep_if_due()
    length = _declared_length(0)
    digests = parse_digests("Repr-Digest", request.headers.get("Repr-Digest"))
    upload_request = UploadRequest(
        upload_request.name, length, digests=digests, create_only=upload_request.create_only
    )
    found = dependencies.resumable_uploads.create(
        upload_request, length, {}, explicit_completion=True, client=client_address(request.environ)
    )
    if found.record.finished:
        return _final(dependencies, found, created=False)
    informed = False
    try:
        if _can_be_informed(request):
            _inform(dependencies, found)
            informed = True
        return _take_in(dependencies, found, 0, final=bool(complete(request.headers)))
    except BaseException as error:
        if not informed:
            dependencies.resumable_uploads.discard(
                found.upload
            )  # the client will never learn where it was
        elif isinstance(error, BodyError):
            dependencies.resumable_uploads.cancel_if_empty(found.upload)
        raise


def _inform(dependencies: Dependencies, found: Status) -> None:
    """Tell the client where its upload is before its body is read (section 4.2.1)."""
    fields = {
        "Location": _url(dependencies, found),
        "Upload-Draft-Interop-Version": _INTEROP_VERSION,
        "Upload-Limit": _limit(dependencies, found),
    }
    try:
        request.environ["transfer.inform"]("104 Upload Resumption Supported", fields)
    except OSError as error:
        raise IncompleteBody("the client went before it was told of its upload") from error


def offered(dependencies: Dependencies, methods: Iterable[str]) -> Response:
    """The answer to OPTIONS on an address that uploads can be sent to (section 4.1.4)."""
    fields = {
        "Allow": ", ".join(methods),
        "Accept-Patch": CONTENT_TYPE,
        "Upload-Limit": f"max-size={dependencies.policy.max_size}",
    }
    return empty(204, fields)


def _take_in(dependencies: Dependencies, found: Status, offset: int, *, final: bool) -> Response:
    environ, uploads = request.environ, dependencies.resumable_uploads
    blocks: Iterable[memoryview] = request_body.blocks(environ, dependencies.idle_timeout)
    declared = parse_digests("Content-Digest", request.headers.get("Content-Digest"))
    try:
        found = uploads.append(
            found.upload,
            offset,
            verified_blocks(blocks, declared, dependencies.executor, DigestMismatch)
            if declared
            else blocks,
            content_length=request_body.declared_length(environ),
            interrupt=interrupt_of(environ),
            length=_declared_length(offset),
            atomic=bool(declared),
            final=final,
            preempt=True,
        )
    except OffsetMismatch as mismatch:
        raise MismatchingOffset(mismatch.offset, offset) from None
    except TooLarge:
        uploads.cancel(found.upload)  # section 4.4.2: what would exceed its length is invalid
        raise
    except REFUSALS as refusal:
        response = problems.problem_response(refusal)
        response.headers["Upload-Complete"] = "?1" if final else "?0"
        return response
    if found.record.finished:
        return _final(dependencies, found, created=True)
    status = 204 if request.method == "PATCH" else 201
    fields = {"Location": _url(dependencies, found)} if status == 201 else {}
    return _answer(dependencies, found, fields, status)


def _final(dependencies: Dependencies, found: Status, *, created: bool) -> Response:
    """What the request to the file's own address would have been answered, had it come whole."""
    assert found.record.finished
    response = stored_response(
        found.record.finished, base_url(dependencies.public_url), created=created
    )
    response.headers["Upload-Complete"] = "?1"
    return response


def _answer(
    dependencies: Dependencies, found: Status, fields: dict[str, str], status: int = 204
) -> Response:
    fields = fields | {
        "Upload-Offset": str(found.offset),
        "Upload-Complete": "?1" if found.record.finished else "?0",
        "Upload-Limit": _limit(dependencies, found),
    }
    if found.record.length is not None:
        fields["Upload-Length"] = str(found.record.length)
    file = found.record.finished
    if file:
        fields |= representation_headers(file)
        fields["Content-Location"] = download_url(base_url(dependencies.public_url), file.name)
    return empty(status, fields)


def _declared_length(offset: int) -> int | None:
    """The length of the whole by either indicator (section 4.1.3). Raises InconsistentLength."""
    declared, content = (
        number(request.headers, "Upload-Length"),
        request_body.declared_length(request.environ),
    )
    if not complete(request.headers) or content is None:
        return declared
    if declared is not None and declared != offset + content:
        raise InconsistentLength("Upload-Length is not what Content-Length makes it")
    return offset + content


def _can_be_informed(asked: Request) -> bool:
    version = asked.headers.get("Upload-Draft-Interop-Version", "").strip(" ")
    return version == _INTEROP_VERSION and "transfer.inform" in asked.environ


def _limit(dependencies: Dependencies, found: Status) -> str:
    left = max(0, int(found.expires - time.time()))
    return f"max-size={dependencies.policy.max_size}, max-age={left}"


def _url(dependencies: Dependencies, found: Status) -> str:
    return f"{base_url(dependencies.public_url)}{_PREFIX}{found.upload}"
