"""Resumable uploads for HTTP: draft-ietf-httpbis-resumable-upload, interop version 8.

A request to /upload/<name> that carries Upload-Complete begins an upload; its bytes can go on at
/resume/<id>. The same engine as for tus; sections named here are those of the draft.
"""

import time
from collections.abc import Iterable

from flask import Blueprint, Request, Response, request

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
from fileservice.upload import UploadRequest
from fileservice.upload.errors import DigestMismatch, OffsetMismatch, TooLarge
from fileservice.upload.resumable.service import REFUSALS, Status
from fileservice.upload.verified_blocks import verified_blocks
from fileservice.web import problems, request_body
from fileservice.web.representations import representation_headers, stored
from fileservice.web.requests import client_address, interrupt_of, raw_name
from fileservice.web.responses import empty
from fileservice.web.service import Service, download_url

_INTEROP_VERSION = "8"
_PREFIX = "/resume/"


def routes(service: Service) -> Blueprint:
    """The routes of uploads that have begun."""
    blueprint = Blueprint("resumable", __name__)
    uploads = service.resumable_uploads

    @blueprint.route(f"{_PREFIX}<name:upload>", methods=["HEAD"])
    def head(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        return _answer(service, uploads.settle(_upload()), {"Cache-Control": "no-store"})

    @blueprint.patch(f"{_PREFIX}<name:upload>")
    def append(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        request_body.require_content_type(request.environ, CONTENT_TYPE)
        offset, final = number(request.headers, "Upload-Offset"), complete(request.headers)
        if offset is None or final is None:
            raise BadField("Upload-Offset and Upload-Complete are required to append to an upload")
        found = uploads.status(_upload())
        if not found.record.open:
            if request_body.declared_length(request.environ) == 0:
                raise CompletedUpload
            raise InconsistentUploadLength(
                "the upload is complete; more bytes would make it longer"
            )
        return _take_in(service, found, offset, final=final)

    @blueprint.delete(f"{_PREFIX}<name:upload>")
    def cancel(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        uploads.cancel(_upload(), preempt=True)
        return empty(204)

    return blueprint


def wanted(asked: Request) -> bool:
    """Whether the client wants an upload that can be resumed, and can be told where.

    A client that sends all of it at once learns of the upload from an interim answer or never.
    """
    final = complete(asked.headers)
    return final is False or (final is True and _can_be_informed(asked))


def begin(service: Service, upload_request: UploadRequest) -> Response:
    """Create an upload from the request to the file's own address (section 4.2)."""
    service.sweep_when_due()
    length = _declared_length(0)
    digests = parse_digests("Repr-Digest", request.headers.get("Repr-Digest"))
    upload_request = UploadRequest(
        upload_request.name, length, digests=digests, create_only=upload_request.create_only
    )
    found = service.resumable_uploads.create(
        upload_request,
        length,
        {},
        explicit_completion=True,
        keep_finished=False,  # the answer is the final one, and names no upload
        client=client_address(request.environ),
    )
    if found.record.finished:
        return _final(service, found, created=False)
    informed = False
    try:
        if _can_be_informed(request):
            _inform(service, found)
            informed = True
        return _take_in(service, found, 0, final=bool(complete(request.headers)))
    except BaseException as error:
        if not informed:
            service.resumable_uploads.discard(
                found.upload
            )  # the client will never learn where it was
        elif isinstance(error, BodyError):
            service.resumable_uploads.cancel_if_empty(found.upload)
        raise


def _inform(service: Service, found: Status) -> None:
    """Tell the client where its upload is before its body is read (section 4.2.1)."""
    fields = {
        "Location": _url(service, found),
        "Upload-Draft-Interop-Version": _INTEROP_VERSION,
        "Upload-Limit": _limit(service, found),
    }
    try:
        request.environ["transfer.inform"]("104 Upload Resumption Supported", fields)
    except OSError as error:
        raise IncompleteBody("the client went before it was told of its upload") from error


def offered(service: Service, methods: Iterable[str]) -> Response:
    """The answer to OPTIONS on an address that uploads can be sent to (section 4.1.4)."""
    fields = {
        "Allow": ", ".join(methods),
        "Accept-Patch": CONTENT_TYPE,
        "Upload-Limit": f"max-size={service.policy.max_size}",
    }
    return empty(204, fields)


def _take_in(service: Service, found: Status, offset: int, *, final: bool) -> Response:
    environ, uploads = request.environ, service.resumable_uploads
    blocks: Iterable[memoryview] = request_body.blocks(environ, service.idle_timeout)
    declared = parse_digests("Content-Digest", request.headers.get("Content-Digest"))
    try:
        found = uploads.append(
            found.upload,
            offset,
            verified_blocks(blocks, declared, service.executor, DigestMismatch)
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
        raise MismatchingUploadOffset(mismatch.offset, offset) from None
    except TooLarge:
        uploads.cancel(found.upload)  # section 4.4.2: what would exceed its length is invalid
        raise
    except REFUSALS as refusal:
        response = problems.answer(refusal)
        response.headers["Upload-Complete"] = "?1" if final else "?0"
        return response
    if found.record.finished:
        return _final(service, found, created=True)
    status = 204 if request.method == "PATCH" else 201
    fields = {"Location": _url(service, found)} if status == 201 else {}
    return _answer(service, found, fields, status)


def _final(service: Service, found: Status, *, created: bool) -> Response:
    """What the request to the file's own address would have been answered, had it come whole."""
    assert found.record.finished
    response = stored(found.record.finished, service.base_url(), created=created)
    response.headers["Upload-Complete"] = "?1"
    return response


def _answer(service: Service, found: Status, fields: dict[str, str], status: int = 204) -> Response:
    fields = fields | {
        "Upload-Offset": str(found.offset),
        "Upload-Complete": "?1" if found.record.finished else "?0",
        "Upload-Limit": _limit(service, found),
    }
    if found.record.length is not None:
        fields["Upload-Length"] = str(found.record.length)
    file = found.record.finished
    if file:
        fields |= representation_headers(file)
        fields["Content-Location"] = download_url(service.base_url(), file.name)
    return empty(status, fields)


def _declared_length(offset: int) -> int | None:
    """The length of the whole by either indicator (section 4.1.3).

    Raises InconsistentUploadLength.
    """
    declared, content = (
        number(request.headers, "Upload-Length"),
        request_body.declared_length(request.environ),
    )
    if not complete(request.headers) or content is None:
        return declared
    if declared is not None and declared != offset + content:
        raise InconsistentUploadLength("Upload-Length is not what Content-Length makes it")
    return offset + content


def _can_be_informed(asked: Request) -> bool:
    version = asked.headers.get("Upload-Draft-Interop-Version", "").strip(" ")
    return version == _INTEROP_VERSION and "transfer.inform" in asked.environ


def _limit(service: Service, found: Status) -> str:
    left = max(0, int(found.expires - time.time()))
    return f"max-size={service.policy.max_size}, max-age={left}"


def _url(service: Service, found: Status) -> str:
    return f"{service.base_url()}{_PREFIX}{found.upload}"


def _upload() -> str:
    return raw_name(_PREFIX).decode("latin-1")
