"""POST /upload, and POST or PUT /upload/<name>: upload a file in one request."""

from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for

from fileservice.access import Action
from fileservice.names import FileName
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.forms import form_file
from fileservice.upload import DigestMismatch, UploadRequest, UploadResult, verified_blocks
from fileservice.web import query_arguments, request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import requires
from fileservice.web.expiry import ARGUMENT, requested_expiry
from fileservice.web.requests import prefers_html
from fileservice.web.routes import resumable_draft
from fileservice.web.upload_requests import (
    check_conditions,
    is_create_only,
    raw_request,
    receive_file,
    receive_raw,
    refuse_part_of_file,
    replaced_versions,
    upload_response,
)

STORED_COOKIE = "stored"
"""Carries the name of the stored file from the response to the form to the page."""
_COOKIE_SECONDS = 60
_FORM_OVERHEAD = 128 * 1024
"""Bytes by which a form may be larger than its file; its length says no more about the file."""


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for uploads."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/upload", strict_slashes=False)
    @requires(Action.WRITE, query_arguments.OF_UPLOADS)
    def upload_form() -> Response:
        result = receive_form(dependencies)
        return (
            _redirect_to_page(result)
            if prefers_html(request.environ)
            else upload_response(dependencies, request.environ, result)
        )

    @blueprint.route(
        "/upload/<new_file:name>", methods=["POST", "PUT"], provide_automatic_options=False
    )
    @requires(Action.WRITE, query_arguments.OF_UPLOADS)
    def upload_raw(name: FileName) -> Response:
        # Only what asks for an upload that can be resumed comes here: see `raw_uploads`.
        upload_request = raw_request(dependencies, request.environ, name)
        if resumable_draft.is_resumable(request):
            check_conditions(dependencies, request.environ, upload_request)
            return resumable_draft.create(dependencies, upload_request)
        return receive_raw(dependencies, request.environ, upload_request)

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
    environ = request.environ
    refuse_part_of_file(environ)
    caller, replaces = dependencies.door.caller(environ), replaced_versions(environ)
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
        create_only=is_create_only(environ),
        replaces=replaces,
        expires=requested_expiry(dependencies.policy, environ, file.fields.get(ARGUMENT, "")),
        caller=caller,
    )
    return receive_file(dependencies, environ, upload_request, file.blocks)


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
