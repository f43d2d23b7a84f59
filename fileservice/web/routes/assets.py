"""GET /assets/…: the style sheet and the scripts of the page.

Their URLs contain a digest of all of them, so a browser may keep each file for ever, and the
scripts find each other by relative URLs.
"""

import hashlib
from pathlib import Path

from flask import Blueprint, Response, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound

from fileservice.access import Action
from fileservice.web.door import requires

_DIRECTORY = Path(__file__).parent.parent / "static"
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def routes() -> Blueprint:
    """Return the route for assets. Templates get the URL of one by `asset('page.css')`."""
    blueprint = Blueprint("assets", __name__)
    current = _digest()

    @blueprint.get("/assets/<version>/<path:filename>")
    @requires(Action.PUBLIC)
    def asset(version: str, filename: str) -> Response:
        if version != current:
            raise NotFound
        response = send_from_directory(_DIRECTORY, filename)
        response.headers.update(_HEADERS)
        response.make_conditional(request)
        return response

    @blueprint.app_template_global("asset")
    def asset_url(filename: str) -> str:
        return url_for("assets.asset", version=current, filename=filename)

    return blueprint


def _digest() -> str:
    """Return a digest of the names and contents of all assets."""
    digest = hashlib.sha256()
    for path in sorted(_DIRECTORY.iterdir()):
        digest.update(b"%s %d " % (path.name.encode(), path.stat().st_size) + path.read_bytes())
    return digest.hexdigest()[:16]
