"""GET, HEAD and DELETE /download/<name>: download and delete a file."""

from functools import partial

from flask import Blueprint, Response, request

from fileservice.access import Action, PrincipalKind
from fileservice.names import FileName
from fileservice.protocols.conditional import Outcome, evaluate
from fileservice.storage import NotFound, Opened, VersionChanged
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import PreconditionFailed
from fileservice.web.file_requests import begin_wanted_ranges, is_modified, wants_whole_file
from fileservice.web.file_response import not_modified, representation_fields, send
from fileservice.web.link_transfers import LinkTransfers
from fileservice.web.representations import validators
from fileservice.web.requests import conditions
from fileservice.web.responses import empty


def routes(dependencies: Dependencies, transfers: LinkTransfers) -> Blueprint:
    """Return the routes for stored files."""
    blueprint = Blueprint("downloads", __name__)
    store = dependencies.store

    @blueprint.get("/download/<stored_file:name>")
    @requires(Action.READ)
    def download(name: FileName) -> Response:
        if principal_of(request.environ).kind is PrincipalKind.LINK:
            return transfers.respond(request.environ)
        sequential = wants_whole_file() and not dependencies.download_redirect
        while True:
            opened = store.open(name, sequential=sequential)
            try:
                return _respond(dependencies, opened)
            except VersionChanged:
                opened.body.close()
            except BaseException:
                opened.body.close()
                raise

    @blueprint.delete("/download/<stored_file:name>")
    @requires(Action.DELETE)
    def delete(name: FileName) -> Response:
        requested = conditions()
        while True:
            file = store.stat(name)
            if evaluate("DELETE", requested, validators(file)) is not Outcome.PROCEED:
                raise PreconditionFailed
            try:
                dependencies.executor.run_io(
                    dependencies.quota_accounts.delete,
                    file,
                    partial(store.delete, name, file.version),
                )
            except NotFound:
                continue  # it was deleted or replaced meanwhile, so the conditions count again
            return empty(204)

    return blueprint


def _respond(dependencies: Dependencies, opened: Opened) -> Response:
    """Return the response to GET or HEAD, which closes the file when it has been sent.

    Raise VersionChanged if the file must be opened again.
    """
    inline = request.args.get("inline") == "1"
    if not is_modified(opened.file):
        opened.body.close()
        return not_modified(opened.file)
    if dependencies.download_redirect and request.method == "GET":
        fields = representation_fields(opened.file, inline)
        url = dependencies.store.presigned_url(opened.file, fields)
        if url:
            opened.body.close()
            return empty(307, {"Location": url, "Cache-Control": "no-store"})
    return send(opened, begin_wanted_ranges(opened), inline=inline)
