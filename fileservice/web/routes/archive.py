"""GET /archive.zip: several files at once."""

from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice

from flask import Blueprint, Response, request

from fileservice.access import Action, Principal, decide
from fileservice.names import BadName, FileName
from fileservice.request_record import record_of
from fileservice.storage import StoredFile
from fileservice.web import query_arguments
from fileservice.web.audit import audit_files
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import BadQuery, NoSuchFile
from fileservice.web.list_query import Query
from fileservice.web.security_headers import FILE_HEADERS
from fileservice.web.zip_archive import MAX_FILES, ZipArchive

_FIELDS = {
    "Content-Disposition": 'attachment; filename="files.zip"',
    "Accept-Ranges": "none",
    "Cache-Control": "no-store",
    **FILE_HEADERS,
}
_CRITERIA = ("prefix", "q")
_STATS_AT_ONCE = 8


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the route for archives."""
    blueprint = Blueprint("archive", __name__)

    @blueprint.get("/archive.zip")
    @requires(Action.READ, query_arguments.OF_ARCHIVES)
    def archive() -> Response:
        principal = principal_of(request.environ)
        names = request.args.getlist("name")
        is_search = any(criterion in request.args for criterion in _CRITERIA)
        if bool(names) == is_search:
            raise BadQuery("send name= once for each file, or else prefix= or q= or both")
        if is_search:
            files = _matching(dependencies, principal)
        else:
            files = _named(dependencies, principal, names)
        record_of(request.environ).transfer = "download"
        marks = dependencies.damage_marks
        for file in files:
            marks.require_intact(file)  # a listing of a bucket does not say enough for that
        dependencies.executor.run_io(audit_files, request.environ, "read", *files)
        content = ZipArchive(dependencies.store, dependencies.executor, files, marks)
        response = Response(iter(content), mimetype="application/zip", headers=_FIELDS)
        response.content_length = content.size
        response.call_on_close(content.close)
        return response

    return blueprint


def _named(
    dependencies: Dependencies, principal: Principal, texts: Iterable[str]
) -> list[StoredFile]:
    """Describe the files of these names. Raise Forbidden, NoSuchFile or NotFound."""
    names = list(dict.fromkeys(_parse(text) for text in texts))
    _check_number(names)
    for name in names:
        decide(principal, Action.READ, name)
    executor, files = dependencies.executor, list[StoredFile]()
    for start in range(0, len(names), _STATS_AT_ONCE):
        batch = names[start : start + _STATS_AT_ONCE]
        pending = [executor.submit(dependencies.store.stat, name) for name in batch]
        for task in pending:
            task.wait()
        files += [task.result() for task in pending]
    return files


def _parse(text: str) -> FileName:
    try:
        return FileName.parse(text)
    except BadName:
        raise NoSuchFile(text) from None


def _matching(dependencies: Dependencies, principal: Principal) -> list[StoredFile]:
    """Describe the files that the list has for the same query. Raise Forbidden or BadQuery."""
    decide(principal, Action.LIST)
    query = Query.parse(request.args, principal.prefix)
    with dependencies.search_limit.slot() if query.q else nullcontext():
        files = dependencies.executor.run_io(
            lambda: list(islice(query.matching(dependencies.store), MAX_FILES + 1))
        )
    _check_number(files)
    return files


def _check_number(files: list[FileName] | list[StoredFile]) -> None:
    if len(files) > MAX_FILES:
        raise BadQuery(f"an archive has at most {MAX_FILES} files; ask for fewer of them")
