"""The document: all operations, with the problems of the service and its settings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fileservice.quantities import format_size
from fileservice.upload import UploadPolicy
from fileservice.web.openapi import files, links, pages, resumable
from fileservice.web.openapi.operations import TEXT, Operation
from fileservice.web.openapi.problem_responses import ProblemKind, ProblemResponses
from fileservice.web.openapi.schemas import SCHEMAS

OPERATIONS = (*files.OPERATIONS, *resumable.OPERATIONS, *links.OPERATIONS, *pages.OPERATIONS)

_DESCRIPTION = (
    "Files come in by a form, as the body of a request, or in several requests (tus 1.0.0, and the"
    " IETF draft on resumable uploads). They go out by range and condition. Every error is"
    " `application/problem+json` (RFC 9457) with a stable code, or a page for clients that prefer"
    " `text/html`. A request whose head cannot be parsed is answered with 400, 408, 414, 417, 431,"
    " 501 or 505."
)
_TAGS = {
    "files": "Upload, list, download and delete files.",
    "tus": "Uploads in several requests by tus 1.0.0 (https://tus.io/protocols/resumable-upload).",
    "draft": "Uploads in several requests by draft-ietf-httpbis-resumable-upload.",
    "links": "Let a stranger fetch one file, or upload some.",
    "pages": "What browsers use, and this description.",
    "health": "Whether the service works.",
}
_HEADERS: Mapping[str, str] = {
    "Allow": "The methods that the path takes.",
    "Content-Disposition": "A file name for whoever saves the file (RFC 6266).",
    "Content-Location": "The URL of the file that the upload has become.",
    "Content-Range": "Which bytes of the file these are.",
    "ETag": "Changes whenever the content does.",
    "Last-Modified": "When the file was stored.",
    "Link": 'The next page of a list (`rel="next"`), or this description (`rel="service-desc"`).',
    "Location": "The URL of what was made, or where the request is to be repeated.",
    "Repr-Digest": "The SHA-256 of the file (RFC 9530).",
    "Sunset": "When the file expires (RFC 8594).",
    "Tus-Extension": "The extensions of tus that are supported.",
    "Tus-Max-Size": "The greatest size of a file in bytes.",
    "Tus-Resumable": "The version of tus.",
    "Tus-Version": "The versions of tus that are supported.",
    "Upload-Complete": "Whether the upload is complete (`?1`) or not (`?0`).",
    "Upload-Expires": "When the unfinished upload expires.",
    "Upload-Length": "The size of the file in bytes.",
    "Upload-Limit": "The limits of uploads.",
    "Upload-Offset": "How many bytes are on stable storage.",
}
_SECURITY: Sequence[Mapping[str, list[str]]] = ({}, {"bearer": []}, {"basic": []})


def document(kinds: Iterable[ProblemKind], policy: UploadPolicy, version: str) -> dict[str, Any]:
    """Return the document without `servers`, the URLs by which the service is reached."""
    by_code = {kind.code: kind for kind in kinds}
    paths: dict[str, Any] = {}
    reports = ProblemResponses(by_code)
    for operation in OPERATIONS:
        described = _operation(operation, reports)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fileservice",
            "version": version,
            "summary": "Stores files and serves them.",
            "description": f"{_DESCRIPTION} {_limits(policy)}",
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **reports.schemas},
            "responses": reports.responses,
            "headers": {
                name: {"description": text, "schema": TEXT} for name, text in _HEADERS.items()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The secret of a token as the password, with any user name.",
                },
            },
        },
    }


def _limits(policy: UploadPolicy) -> str:
    extensions = ", ".join(sorted(policy.types))
    size = format_size(policy.max_size)
    return f"A file has at most {size}, and one of these extensions: {extensions}."


def _operation(operation: Operation, reports: ProblemResponses) -> dict[str, Any]:
    has_body = operation.method != "HEAD"
    responses = {
        str(status): answer.to_json(has_body=has_body)
        for status, answer in operation.answers.items()
    }
    responses |= reports.references(operation.codes, has_body=has_body)
    described: dict[str, Any] = {
        "operationId": _id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "x-needs": list(operation.needs),
        "responses": dict(sorted(responses.items())),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [parameter.to_json() for parameter in operation.parameters]
    if operation.body:
        content = {kind: {"schema": schema} for kind, schema in operation.body.items()}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    if operation.needs and operation.needs != ("link",):
        described["security"] = _SECURITY
    return described


def _id(operation: Operation) -> str:
    """Return a name of its own for an operation, such as `put-upload-name`."""
    if operation.name:
        return operation.name
    words = operation.path.replace("{", "").replace("}", "").replace(".", "-").split("/")
    return "-".join([operation.method.lower(), *filter(None, words)])
