"""GET, HEAD and DELETE /download/<name>, and GET and HEAD of its other addresses: stored files.

`Downloads` is the way out of every file.
"""

from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, request
from werkzeug.wrappers import Response

from fileservice.access import Action, PrincipalKind
from fileservice.events import EventKind
from fileservice.names import FileName
from fileservice.protocols.conditional import Outcome, evaluate
from fileservice.request_record import record_of
from fileservice.storage import NotFound, Opened, VersionChanged
from fileservice.web import query_arguments
from fileservice.web.audit import audit_files
from fileservice.web.dependencies import Dependencies
from fileservice.web.direct_application import DirectApplication, Report
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import NoSuchFile, PreconditionFailed
from fileservice.web.file_requests import FileRequest
from fileservice.web.file_response import not_modified, representation_fields, send
from fileservice.web.hooks import Hooks
from fileservice.web.link_access import secret_in_path
from fileservice.web.link_transfers import LinkTransfers, require_asked
from fileservice.web.path_parameters import stored_file_name
from fileservice.web.representations import validators
from fileservice.web.requests import conditions
from fileservice.web.responses import empty
from fileservice.web.security_headers import FILE_HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHODS = ("GET", "HEAD")


class Downloads(DirectApplication):
    """A WSGI application that answers GET and HEAD of stored files."""

    action = Action.READ

    def __init__(
        self, dependencies: Dependencies, transfers: LinkTransfers, hooks: Hooks, report: Report
    ) -> None:
        super().__init__(dependencies.door, hooks, report)
        self._store = dependencies.store
        self._marks = dependencies.damage_marks
        self._redirects = dependencies.download_redirect
        self._transfers = transfers

    def answers(self, environ: "WSGIEnvironment") -> bool:
        return environ["REQUEST_METHOD"] in _METHODS and bool(_raw_name(environ))

    def route(self, environ: "WSGIEnvironment") -> str:
        path: str = environ["PATH_INFO"]
        if path.startswith("/files/"):
            return "/files/<name>"
        return "/download/<name>" if path.startswith("/download/") else "/s/<link_secret>/<name>"

    def name(self, environ: "WSGIEnvironment") -> FileName:
        return stored_file_name(_raw_name(environ).encode("latin-1"))

    def respond(self, environ: "WSGIEnvironment", name: FileName) -> Response:
        if secret_in_path(environ) is None:
            query_arguments.refuse_unknown(environ, query_arguments.OF_FILES)
        if principal_of(environ).kind is PrincipalKind.LINK:
            if environ["REQUEST_METHOD"] == "GET" and secret_in_path(environ) is not None:
                require_asked(environ)
            return self._transfers.respond(environ)
        wanted = FileRequest.of(environ)
        sequential = wanted.wants_whole_file and not self._redirects
        while True:
            opened = self._store.open(name, sequential=sequential)
            try:
                return self._opened_file(environ, wanted, opened)
            except VersionChanged:
                opened.body.close()
            except BaseException:
                opened.body.close()
                raise

    def _opened_file(
        self, environ: "WSGIEnvironment", wanted: FileRequest, opened: Opened
    ) -> Response:
        """Return the response, which closes the file when it has been sent.

        Raise VersionChanged if the file must be opened again, or FileDamaged.
        """
        if not wanted.is_modified(opened.file):
            opened.body.close()
            return not_modified(opened.file)
        self._marks.require_intact(opened.file)
        if self._redirects and wanted.method == "GET":
            fields = representation_fields(opened.file, wanted.inline)
            url = self._store.presigned_url(opened.file, fields)
            if url:
                opened.body.close()
                audit_files(environ, "read", opened.file)
                found = {"Location": url, "Cache-Control": "no-store"}
                return empty(307, FILE_HEADERS | found)
        return send(environ, opened, wanted.begin_ranges(opened), inline=wanted.inline)


def _raw_name(environ: "WSGIEnvironment") -> str:
    """Return what the path has in place of the name of a file; "" if it is of another kind."""
    path: str = environ.get("PATH_INFO", "")
    if path.startswith("/download/"):
        return path[len("/download/") :]
    if path.startswith("/files/"):
        return path[len("/files/") :]
    secret, _, name = path.removeprefix("/s/").partition("/")
    return name if secret and path.startswith("/s/") else ""


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for stored files.

    The one for GET says what the path is to OPTIONS, to other methods and to `url_for`. Flask never
    calls its view for the path of a file: `Downloads` answers before. But it takes more than one
    slash at the beginning of a path for one.
    """
    blueprint = Blueprint("downloads", __name__)
    store = dependencies.store

    @blueprint.get("/download/<stored_file:name>")
    @blueprint.get("/files/<stored_file:name>", endpoint="indexed")
    @requires(Action.READ)
    def download(name: FileName) -> Response:
        raise NoSuchFile(name)

    @blueprint.delete("/download/<stored_file:name>")
    @requires(Action.DELETE)
    def delete(name: FileName) -> Response:
        requested = conditions(request.environ)
        while True:
            file = store.stat(name)
            if evaluate("DELETE", requested, validators(file)) is not Outcome.PROCEED:
                raise PreconditionFailed
            try:
                dependencies.executor.run_io(
                    dependencies.quota_accounts.delete,
                    file,
                    partial(
                        dependencies.upload_context.events.remove,
                        EventKind.DELETED,
                        file,
                        principal_of(request.environ).id,
                        partial(store.delete, name, file.version),
                        record_of(request.environ).ids,
                    ),
                )
            except NotFound:
                continue  # it was deleted or replaced meanwhile, so the conditions count again
            audit_files(request.environ, "deleted", file)
            return empty(204)

    return blueprint
