"""POST /upload, and POST or PUT /upload/<name>: the ways in."""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for

from fileservice.names import FileName
from fileservice.protocols.chunked_uploaders import refuse_piece
from fileservice.protocols.conditional import Outcome, evaluate
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import PartialUpload
from fileservice.protocols.forms import form_file
from fileservice.storage import NotFound
from fileservice.upload import UploadRequest, UploadResult, receive
from fileservice.upload.errors import DigestMismatch
from fileservice.upload.verified_blocks import verified_blocks
from fileservice.web import request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.errors import PreconditionFailed
from fileservice.web.representations import stored_response, validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions, prefers_html
from fileservice.web.routes import resumable_draft
from fileservice.web.urls import base_url

STORED_COOKIE = "stored"
"""Carries the name of the file just stored from the answer to a form to the page."""
_COOKIE_SECONDS = 60
_FORM_OVERHEAD = 128 * 1024
"""A form may be larger than its file by this many bytes, and is not refused for it."""


def routes(dependencies: Dependencies) -> Blueprint:
    """The routes for uploads."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/upload")
    def upload_form() -> Response:
        refuse_part()
        length = request_body.declared_length(request.environ)
        form = verified_blocks(
            request_body.blocks(request.environ, dependencies.idle_timeout),
            declared_digests(request.headers),
            dependencies.executor,
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
            else stored_response(
                result.file, base_url(dependencies.public_url), created=result.created
            )
        )

    @blueprint.route(
        "/upload/<new_file:name>", methods=["POST", "PUT"], provide_automatic_options=False
    )
    def upload_raw(name: FileName) -> Response:
        upload_request = UploadRequest(
            name=name,
            length=request_body.declared_length(request.environ),
            digests=declared_digests(request.headers),
            create_only=_create_only(),
        )
        refuse_part()
        if resumable_draft.wanted(request):
            check_conditions(upload_request.name)
            return resumable_draft.begin(dependencies, upload_request)
        result = take_in(
            upload_request, request_body.blocks(request.environ, dependencies.idle_timeout)
        )
        return stored_response(
            result.file, base_url(dependencies.public_url), created=result.created
        )

    @blueprint.route(
        "/upload/<new_file:name>", methods=["OPTIONS"], provide_automatic_options=False
    )
    def upload_options(**_name: object) -> Response:
        return resumable_draft.offered(dependencies, ("OPTIONS", "POST", "PUT"))

    def refuse_part() -> None:
        if "Content-Range" in request.headers:
            raise PartialUpload
        refuse_piece(request.args)

    def take_in(upload_request: UploadRequest, blocks: Iterable[memoryview]) -> UploadResult:
        check_conditions(upload_request.name)
        dependencies.sweeper.sweep_if_due()
        return receive(
            upload_request,
            blocks,
            policy=dependencies.policy,
            store=dependencies.store,
            executor=dependencies.executor,
        )

    def check_conditions(name: FileName) -> None:
        if any(field in request.headers for field in CONDITIONAL_FIELDS):
            _check_conditions(dependencies, name)

    return blueprint


def _create_only() -> bool:
    return request.headers.get("If-None-Match", "").strip() == "*"


def _check_conditions(dependencies: Dependencies, name: FileName) -> None:
    """Refuse an upload whose conditions do not hold (RFC 9110 section 13.1).

    All but If-None-Match: *, which only the store can decide when uploads race.
    """
    asked = conditions()
    if _create_only():
        asked = replace(asked, if_none_match=None)
    try:
        current = validators(dependencies.store.stat(name))
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
