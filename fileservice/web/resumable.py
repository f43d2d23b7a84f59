"""Resumable uploads for HTTP: draft-ietf-httpbis-resumable-upload, interop version 8.

A request to /upload/<name> that carries Upload-Complete begins an upload; its bytes can go on at
/resume/<id>. The same engine as for tus; sections named here are those of the draft.
"""

import time
from collections.abc import Iterable

from flask import Blueprint, Request, Response, request

from fileservice.upload import Offer, TooLarge
from fileservice.upload.resume import REFUSALS, OffsetMismatch, Status
from fileservice.web import body, problems
from fileservice.web.answers import empty
from fileservice.web.digests import parse_digests, verified
from fileservice.web.records import representation_headers, stored
from fileservice.web.requests import client_address, interrupt_of, raw_name
from fileservice.web.resumable_fields import (
    CONTENT_TYPE,
    BadAppend,
    Completed,
    InconsistentLength,
    MismatchingOffset,
    complete,
    number,
)
from fileservice.web.service import Service, download_url

_INTEROP_VERSION = "8"
_PREFIX = "/resume/"


def routes(service: Service) -> Blueprint:
    """The routes of uploads that have begun."""
    blueprint = Blueprint("resumable", __name__)
    uploads = service.resumption

    @blueprint.route(f"{_PREFIX}<name:upload>", methods=["HEAD"])
    def head(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        return _answer(service, uploads.settle(_upload()), {"Cache-Control": "no-store"})

    @blueprint.patch(f"{_PREFIX}<name:upload>")
    def append(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        body.require_content_type(request.environ, CONTENT_TYPE)
        offset, last = number(request.headers, "Upload-Offset"), complete(request.headers)
        if offset is None or last is None:
            raise BadAppend
        found = uploads.status(_upload())
        if not found.record.open:
            if body.declared_length(request.environ) == 0:
                raise Completed
            raise InconsistentLength("the upload is complete; more bytes would make it longer")
        return _take_in(service, found, offset, last=last)

    @blueprint.delete(f"{_PREFIX}<name:upload>")
    def cancel(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        uploads.cancel(_upload(), at_once=True)
        return empty(204)

    return blueprint


def wanted(asked: Request) -> bool:
    """Whether the client wants an upload that can be resumed, and can be told where.

    A client that sends all of it at once learns of the upload from an interim answer or never.
    """
    last = complete(asked.headers)
    return last is False or (last is True and _can_be_informed(asked))


def begin(service: Service, offer: Offer) -> Response:
    """Create an upload from the request to the file's own address (section 4.2)."""
    service.sweep_when_due()
    length = _declared_length(0)
    digests = parse_digests("Repr-Digest", request.headers.get("Repr-Digest"))
    offer = Offer(offer.name, length, digests=digests, create_only=offer.create_only)
    found = service.resumption.create(
        offer, length, {}, awaits_word=True, client=client_address(request.environ)
    )
    if found.record.finished:
        return _final(service, found, created=False)
    informed = False
    try:
        if _can_be_informed(request):
            _inform(service, found)
            informed = True
        return _take_in(service, found, 0, last=bool(complete(request.headers)))
    except BaseException as error:
        if not informed:
            service.resumption.discard(found.upload)  # the client will never learn where it was
        elif isinstance(error, body.BodyError):
            service.resumption.cancel_if_empty(found.upload)
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
        raise body.IncompleteBody("the client went before it was told of its upload") from error


def offered(service: Service, methods: Iterable[str]) -> Response:
    """The answer to OPTIONS on an address that uploads can be sent to (section 4.1.4)."""
    fields = {
        "Allow": ", ".join(methods),
        "Accept-Patch": CONTENT_TYPE,
        "Upload-Limit": f"max-size={service.rules.max_size}",
    }
    return empty(204, fields)


def _take_in(service: Service, found: Status, offset: int, *, last: bool) -> Response:
    environ, uploads = request.environ, service.resumption
    blocks: Iterable[memoryview] = body.blocks(environ, service.idle_timeout)
    declared = parse_digests("Content-Digest", request.headers.get("Content-Digest"))
    try:
        found = uploads.append(
            found.upload,
            offset,
            verified(blocks, declared, service.offload) if declared else blocks,
            coming=body.declared_length(environ),
            interrupt=interrupt_of(environ),
            length=_declared_length(offset),
            whole=bool(declared),
            last=last,
            at_once=True,
        )
    except OffsetMismatch as mismatch:
        raise MismatchingOffset(mismatch.offset, offset) from None
    except TooLarge:
        uploads.cancel(found.upload)  # section 4.4.2: what would exceed its length is invalid
        raise
    except REFUSALS as refusal:
        response = problems.answer(refusal)
        response.headers["Upload-Complete"] = "?1" if last else "?0"
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
    """The length of the whole by either indicator (section 4.1.3). Raises InconsistentLength."""
    declared, content = (
        number(request.headers, "Upload-Length"),
        body.declared_length(request.environ),
    )
    if not complete(request.headers) or content is None:
        return declared
    if declared is not None and declared != offset + content:
        raise InconsistentLength("Upload-Length is not what Content-Length makes it")
    return offset + content


def _can_be_informed(asked: Request) -> bool:
    version = asked.headers.get("Upload-Draft-Interop-Version", "").strip(" ")
    return version == _INTEROP_VERSION and "transfer.inform" in asked.environ


def _limit(service: Service, found: Status) -> str:
    left = max(0, int(found.expires - time.time()))
    return f"max-size={service.rules.max_size}, max-age={left}"


def _url(service: Service, found: Status) -> str:
    return f"{service.base_url()}{_PREFIX}{found.upload}"


def _upload() -> str:
    return raw_name(_PREFIX).decode("latin-1")
