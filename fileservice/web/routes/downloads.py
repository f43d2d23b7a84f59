"""GET, HEAD and DELETE /download/<name>: the way out, and the end."""

from flask import Blueprint, Response, request

from fileservice.names import BadName, FileName
from fileservice.protocols.conditional import Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, requested_ranges
from fileservice.storage import NotFound, Opened
from fileservice.web.errors import NoSuchFile, PreconditionFailed
from fileservice.web.file_response import not_modified, representation_fields, send
from fileservice.web.representations import validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions, raw_name
from fileservice.web.responses import empty
from fileservice.web.service import Service

_MAY_NEED_LESS = ("Range", *CONDITIONAL_FIELDS)


def routes(service: Service) -> Blueprint:
    """The routes for stored files."""
    blueprint = Blueprint("downloads", __name__)

    @blueprint.get("/download/<name:name>")
    def download(name: str) -> Response:  # noqa: ARG001  # see raw_name
        whole = (
            request.method == "GET"
            and not service.download_redirect
            and not any(f in request.headers for f in _MAY_NEED_LESS)
        )
        opened = service.store.open(_name(), sequential=whole)
        try:
            return _respond(service, opened)
        except BaseException:
            opened.body.close()
            raise

    @blueprint.delete("/download/<name:name>")
    def delete(name: str) -> Response:  # noqa: ARG001  # see raw_name
        file_name = _name()
        asked = conditions()
        while True:
            file = service.store.stat(file_name)
            if evaluate("DELETE", asked, validators(file)) is not Outcome.PROCEED:
                raise PreconditionFailed
            try:
                service.executor.run_io(service.store.delete, file_name, file.version)
            except NotFound:
                continue  # another file took its place, or none: look again
            return empty(204)

    return blueprint


def _name() -> FileName:
    raw = raw_name("/download/")
    try:
        return FileName.parse_bytes(raw)
    except BadName:
        raise NoSuchFile(raw.decode(errors="replace")) from None


def _respond(service: Service, opened: Opened) -> Response:
    asked, current = conditions(), validators(opened.file)
    inline = request.args.get("inline") == "1"
    match evaluate(request.method, asked, current):
        case Outcome.PRECONDITION_FAILED:
            raise PreconditionFailed
        case Outcome.NOT_MODIFIED:
            opened.body.close()
            return not_modified(opened.file)
    if service.download_redirect and request.method == "GET":
        url = service.store.presigned_url(opened.file, representation_fields(opened.file, inline))
        if url:
            opened.body.close()
            return empty(307, {"Location": url, "Cache-Control": "no-store"})
    ranges: tuple[ByteRange, ...] = ()
    if request.method == "GET" and range_applies(asked, current):
        ranges = requested_ranges(request.headers.get("Range"), opened.file.size)
    return send(opened, ranges, inline=inline)
