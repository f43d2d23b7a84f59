"""PUT and POST /upload/<name>: the body is the file."""

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.access import Action
from fileservice.names import FileName
from fileservice.web import query_arguments
from fileservice.web.dependencies import Dependencies
from fileservice.web.direct_application import DirectApplication, Report
from fileservice.web.hooks import Hooks
from fileservice.web.upload_requests import raw_request, receive_raw

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHODS = ("POST", "PUT")
_PREFIX = "/upload/"


class RawUploads(DirectApplication):
    """A WSGI application that stores the bodies of PUT and POST under the names in their paths."""

    action = Action.WRITE

    def __init__(self, dependencies: Dependencies, hooks: Hooks, report: Report) -> None:
        super().__init__(dependencies.door, hooks, report)
        self._dependencies = dependencies

    def answers(self, environ: "WSGIEnvironment") -> bool:
        path: str = environ.get("PATH_INFO", "")
        is_name = path.startswith(_PREFIX) and path != _PREFIX
        is_whole = "HTTP_UPLOAD_COMPLETE" not in environ
        return environ["REQUEST_METHOD"] in _METHODS and is_name and is_whole

    def route(self, environ: "WSGIEnvironment") -> str:  # noqa: ARG002  # all have the same
        return "/upload/<name>"

    def name(self, environ: "WSGIEnvironment") -> FileName:
        return FileName.parse_bytes(environ["PATH_INFO"][len(_PREFIX) :].encode("latin-1"))

    def respond(self, environ: "WSGIEnvironment", name: FileName) -> Response:
        query_arguments.refuse_unknown(environ, query_arguments.OF_UPLOADS)
        upload_request = raw_request(self._dependencies, environ, name)
        return receive_raw(self._dependencies, environ, upload_request)
