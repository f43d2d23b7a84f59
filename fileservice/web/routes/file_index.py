"""GET /files/: a plain index of the stored files, for tools that follow the links of one.

`wget -r` and rclone's backend `http` read it. They follow only what is below the index, so the
files have addresses there as well (`downloads`).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import escape
from werkzeug.datastructures import MultiDict

from fileservice.access import Action
from fileservice.storage import StoredFile
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.list_query import Query
from fileservice.web.revalidation import revalidated
from fileservice.web.routes import listing
from fileservice.web.security_headers import DOCUMENT_HEADERS

_HEAD = (
    '<!doctype html>\n<html><head><meta charset="utf-8"><title>files</title></head><body><pre>\n'
)
_END = "</pre></body></html>\n"


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for the index."""
    blueprint = Blueprint("file_index", __name__)

    @blueprint.get("/files")
    @requires(Action.PUBLIC)
    def without_slash() -> Response:
        # Its links are relative, and would lead elsewhere from here.
        return redirect(url_for("file_index.index"), 308)  # type: ignore[return-value]

    @blueprint.get("/files/")
    @requires(Action.LIST)
    def index() -> Response:
        everything = Query.parse(MultiDict(), principal_of(request.environ).prefix)
        batches = listing.read_batches(dependencies, everything)
        first = next(batches)  # read now, since an error can still be reported
        lines = _lines(chain((first,), batches))
        if len(first) < listing.BATCH_SIZE:
            return revalidated(_response("".join(lines)))
        return _response(lines)

    return blueprint


def _response(body: str | Iterator[str]) -> Response:
    return Response(body, mimetype="text/html", headers=DOCUMENT_HEADERS)


def _lines(batches: Iterable[list[StoredFile]]) -> Iterator[str]:
    yield _HEAD
    for batch in batches:
        yield "".join(map(_line, batch))
    yield _END


def _line(file: StoredFile) -> str:
    """Return the line of a file: its link, the time of its last modification, and its size."""
    modified = datetime.fromtimestamp(file.modified, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f'<a href="{quote(file.name, safe="")}">{escape(file.name)}</a> {modified} {file.size}\n'
