"""GET, HEAD and DELETE /download/<name>: the way out, and the end."""

from flask import Blueprint, Response, request

from fileservice.names import FileName
from fileservice.protocols.conditional import Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, select
from fileservice.storage import NotFound, Opened
from fileservice.web.dependencies import Dependencies
from fileservice.web.errors import PreconditionFailed
from fileservice.web.file_response import not_modified, representation_fields, send
from fileservice.web.representations import validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions
from fileservice.web.responses import empty

_MAY_NEED_LESS = ("Range", *CONDITIONAL_FIELDS)


def routes(dependencies: Dependencies) -> Blueprint:
    """The routes for stored files."""
    blueprint = Blueprint("downloads", __name__)

    @blueprint.get("/download/<stored_file:name>")
    def download(name: FileName) -> Response:
        whole = (
            request.method == "GET"
            and not dependencies.download_redirect
            and not any(f in request.headers for f in _MAY_NEED_LESS)
        )
        opened = dependencies.store.open(name, whole=whole)
        try:
            return _respond(dependencies, opened)
        except BaseException:
            opened.body.close()
            raise

    @blueprint.delete("/download/<stored_file:name>")
    def delete(name: FileName) -> Response:
        asked = conditions()
        while True:
            file = dependencies.store.stat(name)
            if evaluate("DELETE", asked, validators(file)) is not Outcome.PROCEED:
                raise PreconditionFailed
            try:
                dependencies.executor.run_io(dependencies.store.delete, name, file.version)
            except NotFound:
                continue  # another file took its place, or none: look again
            return empty(204)

    return blueprint


def _respond(dependencies: Dependencies, opened: Opened) -> Response:
    asked, current = conditions(), validators(opened.file)
    inline = request.args.get("inline") == "1"
    match evaluate(request.method, asked, current):
        case Outcome.PRECONDITION_FAILED:
            raise PreconditionFailed
        case Outcome.NOT_MODIFIED:
            opened.body.close()
            return not_modified(opened.file)
    if dependencies.download_redirect and request.method == "GET":
        url = dependencies.store.direct_url(opened.file, representation_fields(opened.file, inline))
        if url:
            opened.body.close()
            return empty(307, {"Location": url, "Cache-Control": "no-store"})
    ranges: tuple[ByteRange, ...] = ()
    if request.method == "GET" and range_applies(asked, current):
        ranges = select(request.headers.get("Range"), opened.file.size)
    return send(opened, ranges, inline=inline)
