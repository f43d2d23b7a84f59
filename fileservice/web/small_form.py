"""Small forms: some fields of text, such as a password."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fileservice.protocols.errors import BadForm
from fileservice.web import request_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MAX_SIZE = 8 << 10


def read_small_form(environ: "WSGIEnvironment", idle_timeout: float) -> dict[str, str]:
    """Return the fields of the form that is the body of a request. Raises BodyError."""
    request_body.require_content_type(environ, "application/x-www-form-urlencoded")
    body = b""
    for block in request_body.blocks(environ, idle_timeout):
        body += block
        if len(body) > _MAX_SIZE:
            break
    try:
        fields = parse_qs(body[:_MAX_SIZE].decode("ascii", "replace"), max_num_fields=10)
    except ValueError as error:
        raise BadForm("the form has too many fields") from error
    return {name: values[0] for name, values in fields.items()}
