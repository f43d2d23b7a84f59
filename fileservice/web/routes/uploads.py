"""POST /upload, and POST or PUT /upload/<name>: the ways in."""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for

from fileservice.names import FileName
from fileservice.protocols.chunked_uploaders import reject_chunk
from fileservice.protocols.conditional import Outcome, evaluate
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import PartialUpload
from fileservice.protocols.forms import form_file
from fileservice.storage import NotFound
from fileservice.upload import UploadRequest, UploadResult, receive
from fileservice.upload.errors import DigestMismatch
from fileservice.upload.verified_blocks import verified_blocks
from fileservice.web import request_body
from fileservice.web.errors import PreconditionFailed
from fileservice.web.representations import stored, validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions, prefers_html, raw_name
from fileservice.web.routes import resumable_draft
from fileservice.web.service import Service

STORED_COOKIE = "stored"
"""Carries the name of the file just stored from the answer to a form to the page."""
_COOKIE_SECONDS = 60
_FORM_OVERHEAD = 128 * 1024
"""A form may be larger than its file by this many bytes, and is not refused for it."""


def routes(service: Service) -> Blueprint:
    """The routes for uploads."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/upload")
    def upload_form() -> Response:
        refuse_part()
        length = request_body.declared_length(request.environ)
        form = verified_blocks(
            request_body.blocks(request.environ, service.idle_timeout),
            declared_digests(request.headers),
            service.executor,
            DigestMismatch,
        )
        sent_name, blocks = form_file(request.headers.get("Content-Type", ""), form)
        upload_request = UploadRequest(
            name=FileName.parse(sent_name),
            length=None,
            at_least=max(0, (length or 0) - _FORM_OVERHEAD),
            create_only=_create_only(),
        )
        result = take_in(upload_request, blocks)
        return (
            _back_to_page(result)
            if prefers_html()
            else stored(result.file, service.base_url(), created=result.created)
        )

    @blueprint.route(
        "/upload/<name:name>", methods=["POST", "PUT"], provide_automatic_options=False
    )
    def upload_raw(name: str) -> Response:  # noqa: ARG001  # see raw_name
        upload_request = UploadRequest(
            name=FileName.parse_bytes(raw_name("/upload/")),
            length=request_body.declared_length(request.environ),
            digests=declared_digests(request.headers),
            create_only=_create_only(),
        )
        refuse_part()
        if resumable_draft.wanted(request):
            check_conditions(upload_request.name)
            return resumable_draft.begin(service, upload_request)
        result = take_in(upload_request, request_body.blocks(request.environ, service.idle_timeout))
        return stored(result.file, service.base_url(), created=result.created)

    @blueprint.route("/upload/<name:name>", methods=["OPTIONS"], provide_automatic_options=False)
    def upload_options(name: str) -> Response:  # noqa: ARG001  # the same for all
        return resumable_draft.offered(service, ("OPTIONS", "POST", "PUT"))

    def refuse_part() -> None:
        if "Content-Range" in request.headers:
            raise PartialUpload
        reject_chunk(request.args)

    def take_in(upload_request: UploadRequest, blocks: Iterable[memoryview]) -> UploadResult:
        check_conditions(upload_request.name)
        service.sweep_when_due()
        return receive(
            upload_request,
            blocks,
            policy=service.policy,
            store=service.store,
            executor=service.executor,
        )

    def check_conditions(name: FileName) -> None:
        if any(field in request.headers for field in CONDITIONAL_FIELDS):
            _check_conditions(service, name)

    return blueprint


def _create_only() -> bool:
    return request.headers.get("If-None-Match", "").strip() == "*"


def _check_conditions(service: Service, name: FileName) -> None:
    """Refuse an upload whose conditions do not hold (RFC 9110 section 13.1).

    All but If-None-Match: *, which only the store can decide when uploads race.
    """
    asked = conditions()
    if _create_only():
        asked = replace(asked, if_none_match=None)
    try:
        current = validators(service.store.stat(name))
    except NotFound:
        current = None
    if evaluate(request.method, asked, current) is not Outcome.PROCEED:
        raise PreconditionFailed


def _back_to_page(result: UploadResult) -> Response:
    page = url_for("pages.upload_page")
    response: Response = redirect(page, 303)  # type: ignore[assignment]
    response.set_cookie(
        STORED_COOKIE,
        quote(result.file.name, safe=""),
        max_age=_COOKIE_SECONDS,
        path=page,
        httponly=True,
        samesite="Lax",
    )
    return response
