"""Keep the secret of a link, which is in the path of its requests, from being passed on."""

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.web.hooks import Hooks
from fileservice.web.link_access import secret_in_path
from fileservice.web.security_headers import LINK_HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def register(hooks: Hooks) -> None:
    """Let browsers, caches and search engines tell nobody about what is below the path of a link.

    There need not be a route for the path, such as one with a slash at its end.
    """

    @hooks.after
    def conceal(environ: "WSGIEnvironment", response: Response) -> None:
        if secret_in_path(environ) is not None:
            response.headers.update(LINK_HEADERS)
