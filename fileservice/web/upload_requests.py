"""Requests whose body has a file, all of it: what they declare, and how they are answered."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.datastructures import EnvironHeaders

from fileservice.access import Forbidden, Scope, may_see
from fileservice.names import FileName
from fileservice.protocols.chunked_uploaders import reject_chunk
from fileservice.protocols.conditional import Outcome, evaluate, required_tags
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import PartialUpload
from fileservice.storage import NotFound
from fileservice.upload import UploadRequest, UploadResult, receive
from fileservice.web import request_body
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of
from fileservice.web.errors import PreconditionFailed
from fileservice.web.expiry import requested_expiry
from fileservice.web.representations import stored_response, validators
from fileservice.web.requests import NO_CONDITIONS, conditions, query
from fileservice.web.urls import base_url

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NO_DIGESTS: Mapping[str, bytes] = MappingProxyType({})


def raw_request(
    dependencies: Dependencies, environ: "WSGIEnvironment", name: FileName
) -> UploadRequest:
    """Return what a request declares whose body is the file with this name.

    Raise LengthRequired, BadDigestHeader, BadExpiry, ExpiryTooLate, PartialUpload or ChunkedUpload.
    """
    upload_request = UploadRequest(
        name=name,
        length=request_body.declared_length(environ),
        digests=_declared_digests(environ),
        create_only=is_create_only(environ),
        replaces=replaced_versions(environ),
        expires=requested_expiry(dependencies.policy, environ),
        caller=dependencies.door.caller(environ),
    )
    refuse_part_of_file(environ)
    return upload_request


def _declared_digests(environ: "WSGIEnvironment") -> Mapping[str, bytes]:
    if "HTTP_REPR_DIGEST" in environ or "HTTP_CONTENT_DIGEST" in environ:
        return declared_digests(EnvironHeaders(environ))
    return _NO_DIGESTS


def receive_raw(
    dependencies: Dependencies, environ: "WSGIEnvironment", upload_request: UploadRequest
) -> Response:
    """Store the body of the request, and return the response. Raise what `receive_file` raises."""
    blocks = request_body.blocks(environ, dependencies.idle_timeout)
    result = receive_file(dependencies, environ, upload_request, blocks)
    return upload_response(dependencies, environ, result)


def refuse_part_of_file(environ: "WSGIEnvironment") -> None:
    """Raise PartialUpload or ChunkedUpload if the request says that it has a part of a file."""
    if "HTTP_CONTENT_RANGE" in environ:
        raise PartialUpload
    arguments = query(environ)
    if arguments:
        reject_chunk(arguments)


def receive_file(
    dependencies: Dependencies,
    environ: "WSGIEnvironment",
    upload_request: UploadRequest,
    blocks: Iterable[memoryview],
) -> UploadResult:
    """Store these bytes. Raise what `check_conditions`, `receive` and `blocks` raise."""
    check_conditions(dependencies, environ, upload_request)
    dependencies.sweeper.sweep_if_due()
    return receive(upload_request, blocks, dependencies.upload_context)


def is_create_only(environ: "WSGIEnvironment") -> bool:
    """Return whether the upload must find its name free (If-None-Match: *)."""
    field: str = environ.get("HTTP_IF_NONE_MATCH", "")
    return field.strip() == "*"


def replaced_versions(environ: "WSGIEnvironment") -> tuple[str, ...] | None:
    """Return the versions that the upload may replace; None if it has to take a free name."""
    field = conditions(environ).if_match
    return None if field is None else required_tags(field)


def check_conditions(
    dependencies: Dependencies, environ: "WSGIEnvironment", upload_request: UploadRequest
) -> None:
    """Raise PreconditionFailed if a condition is false (RFC 9110 section 13.1).

    If-Match and If-None-Match: * are not evaluated here: of uploads that race, only the store can
    decide. Any other condition is about the stored file, so raise Forbidden for those who may not
    see it.
    """
    requested = conditions(environ)
    if requested is NO_CONDITIONS:
        return
    requested = replace(requested, if_range=None)  # it has no meaning without Range
    if upload_request.replaces is not None:
        upload_request.authorize()
        if upload_request.create_only:
            raise PreconditionFailed  # either there is a file, or there is none
        requested = replace(requested, if_match=None, if_unmodified_since=None)
    if upload_request.create_only:
        requested = replace(requested, if_none_match=None)
    if requested == NO_CONDITIONS:
        return
    name = upload_request.name
    if not may_see(principal_of(environ), name):
        raise Forbidden(scopes={Scope.READ})
    try:
        current = validators(dependencies.store.stat(name))
    except NotFound:
        current = None
    if evaluate(environ["REQUEST_METHOD"], requested, current) is not Outcome.PROCEED:
        raise PreconditionFailed


def upload_response(
    dependencies: Dependencies, environ: "WSGIEnvironment", result: UploadResult
) -> Response:
    """Return the response to an upload that has succeeded."""
    base = base_url(dependencies.public_url, environ)
    return stored_response(result.file, base, created=result.created)
