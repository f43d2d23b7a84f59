"""A small JSON document as the body of a request."""

import json
from typing import TYPE_CHECKING, Any

from fileservice.web import request_body
from fileservice.web.errors import BadJSON

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_TYPE = "application/json"
_MAX_BYTES = 16 * 1024


def read_json(environ: "WSGIEnvironment", idle_timeout: float) -> Any:
    """Return the document in the body. Raise BadJSON, WrongContentType, and what `blocks` raises.

    A member that is given twice is an error: nobody could tell which one counts.
    """
    request_body.require_content_type(environ, _TYPE)
    length = request_body.declared_length(environ)
    body = bytearray()
    if length is None or length <= _MAX_BYTES:
        for block in request_body.blocks(environ, idle_timeout):
            body += block
            if len(body) > _MAX_BYTES:
                break
    if len(body) > _MAX_BYTES or (length or 0) > _MAX_BYTES:
        raise BadJSON(f"the body must have at most {_MAX_BYTES} bytes")
    try:
        return json.loads(bytes(body).decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise BadJSON(f"the body must be JSON in UTF-8: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given twice")
    return members
