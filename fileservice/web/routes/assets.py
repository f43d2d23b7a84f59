"""Assets: the style and the scripts of the page, under addresses that change when they do.

All of them lie below one segment that is a digest of them all, so that scripts find each other by
relative addresses, and what a browser has once it never asks for again.
"""

import hashlib
from pathlib import Path

from flask import Blueprint, Response, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound

_DIRECTORY = Path(__file__).parent.parent / "static"
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def routes() -> Blueprint:
    """The route for assets; templates name one with `asset('page.css')`."""
    blueprint = Blueprint("assets", __name__)
    current = _digest()

    @blueprint.get("/assets/<version>/<path:filename>")
    def asset(version: str, filename: str) -> Response:
        if version != current:
            raise NotFound
        response = send_from_directory(_DIRECTORY, filename)
        response.headers.update(_HEADERS)
        response.make_conditional(request)
        return response

    @blueprint.app_template_global("asset")
    def address(filename: str) -> str:
        return url_for("assets.asset", version=current, filename=filename)

    return blueprint


def _digest() -> str:
    computed = hashlib.sha256()
    for path in sorted(_DIRECTORY.iterdir()):
        computed.update(b"%s %d " % (path.name.encode(), path.stat().st_size) + path.read_bytes())
    return computed.hexdigest()[:16]
