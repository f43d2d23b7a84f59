"""GET /assets/…: the style sheet and the scripts of the page.

Their URLs contain a digest of all of them, so a browser may keep each file for ever, and the
scripts find each other by relative URLs. They are small, and are kept in memory, without comments
and indentation, with what they are when compressed.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, request, url_for
from werkzeug.exceptions import NotFound

from fileservice.access import Action
from fileservice.web.door import requires
from fileservice.web.gzip_encoding import accepts_gzip, compress

_DIRECTORY = Path(__file__).parent.parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_READERS = re.compile(
    rb"^ *(?://.*|/\*.*\*/|)\n|^ +| +// [^'\"`\n]*$| +/\* [^*]* \*/$", re.MULTILINE
)
"""What only readers of the source need: empty lines, indentation, and comments, unless a string
might have them."""
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    media_type: str
    content: bytes
    compressed: bytes


def routes() -> Blueprint:
    """Return the route for assets. Templates get the URL of one by `asset('page.css')`."""
    blueprint = Blueprint("assets", __name__)
    assets = {path.name: _read(path) for path in sorted(_DIRECTORY.iterdir())}
    current = _digest(assets)

    @blueprint.get("/assets/<version>/<path:filename>")
    @requires(Action.PUBLIC)
    def asset(version: str, filename: str) -> Response:
        found = assets.get(filename) if version == current else None
        if not found:
            raise NotFound
        response = Response(found.content, mimetype=found.media_type, headers=_HEADERS)
        if accepts_gzip(request.environ):
            response.set_data(found.compressed)
            response.headers["Content-Encoding"] = "gzip"
        response.set_etag(current, weak=True)
        response.make_conditional(request)
        return response

    @blueprint.app_template_global("asset")
    def asset_url(filename: str) -> str:
        return url_for("assets.asset", version=current, filename=filename)

    return blueprint


def _read(path: Path) -> _Asset:
    content = _FOR_READERS.sub(b"", path.read_bytes())
    return _Asset(_MEDIA_TYPES[path.suffix], content, compress(content))


def _digest(assets: dict[str, _Asset]) -> str:
    """Return a digest of the names and contents of all assets."""
    digest = hashlib.sha256()
    for name, asset in assets.items():
        digest.update(b"%s %d " % (name.encode(), len(asset.content)) + asset.content)
    return digest.hexdigest()[:16]
