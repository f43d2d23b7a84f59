"""POST /upload, and POST or PUT /upload/<name>: upload a file in one request."""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for

from fileservice.access import Action, Forbidden, Scope, may_see
from fileservice.names import FileName
from fileservice.protocols.chunked_uploaders import reject_chunk
from fileservice.protocols.conditional import Conditions, Outcome, evaluate, required_tags
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import PartialUpload
from fileservice.protocols.forms import form_file
from fileservice.storage import NotFound
from fileservice.upload import (
    DigestMismatch,
    UploadRequest,
    UploadResult,
    receive,
    verified_blocks,
)
from fileservice.web import request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import PreconditionFailed
from fileservice.web.expiry import ARGUMENT, requested_expiry
from fileservice.web.representations import stored_response, validators
from fileservice.web.requests import conditions, prefers_html
from fileservice.web.routes import resumable_draft
from fileservice.web.urls import base_url

STORED_COOKIE = "stored"
"""Carries the name of the stored file from the response to the form to the page."""
_COOKIE_SECONDS = 60
_FORM_OVERHEAD = 128 * 1024
"""Bytes by which a form may be larger than its file; its length says no more about the file."""


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for uploads."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/upload")
    @requires(Action.WRITE)
    def upload_form() -> Response:
        result = receive_form(dependencies)
        return (
            _redirect_to_page(result)
            if prefers_html(request.environ)
            else _response(dependencies, result)
        )

    @blueprint.route(
        "/upload/<new_file:name>", methods=["POST", "PUT"], provide_automatic_options=False
    )
    @requires(Action.WRITE)
    def upload_raw(name: FileName) -> Response:
        upload_request = UploadRequest(
            name=name,
            length=request_body.declared_length(request.environ),
            digests=declared_digests(request.headers),
            create_only=_is_create_only(),
            replaces=_replaced_versions(),
            expires=requested_expiry(dependencies.policy),
            caller=dependencies.door.caller(request.environ),
        )
        _refuse_part_of_file()
        if resumable_draft.is_resumable(request):
            _check_conditions(dependencies, upload_request)
            return resumable_draft.create(dependencies, upload_request)
        blocks = request_body.blocks(request.environ, dependencies.idle_timeout)
        return _response(dependencies, _receive(dependencies, upload_request, blocks))

    @blueprint.route(
        "/upload/<new_file:name>", methods=["OPTIONS"], provide_automatic_options=False
    )
    @requires(Action.PUBLIC)
    def upload_options(**_name: object) -> Response:
        return resumable_draft.options_response(dependencies, ("OPTIONS", "POST", "PUT"))

    return blueprint


def receive_form(dependencies: Dependencies, prefix: str = "") -> UploadResult:
    """Store the file in the form that is the body of this request.

    The name of the file gets the prefix unless it begins with it.
    """
    _refuse_part_of_file()
    caller, replaces = dependencies.door.caller(request.environ), _replaced_versions()
    if replaces is not None:
        caller.authorize_replacement(None)  # before any of the body is read
    length = request_body.declared_length(request.environ)
    form = verified_blocks(
        request_body.blocks(request.environ, dependencies.idle_timeout),
        declared_digests(request.headers),
        dependencies.executor,
        DigestMismatch,
    )
    file = form_file(request.headers.get("Content-Type", ""), form)
    name = FileName.parse(file.filename)
    upload_request = UploadRequest(
        name=name if name.startswith(prefix) else FileName.parse(prefix + name),
        length=None,
        at_least=max(0, (length or 0) - _FORM_OVERHEAD),
        create_only=_is_create_only(),
        replaces=replaces,
        expires=requested_expiry(dependencies.policy, file.fields.get(ARGUMENT, "")),
        caller=caller,
    )
    return _receive(dependencies, upload_request, file.blocks)


def _refuse_part_of_file() -> None:
    """Raise IncompleteBody if the request says that it does not have the whole file."""
    if "Content-Range" in request.headers:
        raise PartialUpload
    reject_chunk(request.args)


def _receive(
    dependencies: Dependencies, upload_request: UploadRequest, blocks: Iterable[memoryview]
) -> UploadResult:
    _check_conditions(dependencies, upload_request)
    dependencies.sweeper.sweep_if_due()
    return receive(upload_request, blocks, dependencies.upload_context)


def _is_create_only() -> bool:
    return request.headers.get("If-None-Match", "").strip() == "*"


def _replaced_versions() -> tuple[str, ...] | None:
    """Return the versions that the upload may replace; None if it has to take a free name."""
    field = conditions(request.environ).if_match
    return None if field is None else required_tags(field)


def _check_conditions(dependencies: Dependencies, upload_request: UploadRequest) -> None:
    """Raise PreconditionFailed if a condition is false (RFC 9110 section 13.1).

    If-Match and If-None-Match: * are not evaluated here: of uploads that race, only the store can
    decide. Any other condition is about the stored file, so raise Forbidden for those who may not
    see it.
    """
    requested = replace(
        conditions(request.environ), if_range=None
    )  # it has no meaning without Range
    if upload_request.replaces is not None:
        upload_request.authorize()
        if upload_request.create_only:
            raise PreconditionFailed  # either there is a file, or there is none
        requested = replace(requested, if_match=None, if_unmodified_since=None)
    if upload_request.create_only:
        requested = replace(requested, if_none_match=None)
    if requested == Conditions():
        return
    name = upload_request.name
    if not may_see(principal_of(request.environ), name):
        raise Forbidden(scopes={Scope.READ})
    try:
        current = validators(dependencies.store.stat(name))
    except NotFound:
        current = None
    if evaluate(request.method, requested, current) is not Outcome.PROCEED:
        raise PreconditionFailed


def _response(dependencies: Dependencies, result: UploadResult) -> Response:
    return stored_response(result.file, base_url(dependencies.public_url), created=result.created)


def _redirect_to_page(result: UploadResult) -> Response:
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
