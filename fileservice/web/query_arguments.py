"""Which arguments the query string of a request may have.

An argument that an address does not know is refused: `?limt=10` would otherwise be answered as if
nothing had been asked. Pages for people are the exception, since mail programs and social networks
add arguments of their own to the links that somebody follows.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fileservice.protocols.chunked_uploaders import is_argument_of_uploader
from fileservice.web.errors import UnknownArgument

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ANY = None
"""Stands for all arguments, whatever they are called."""
OF_FILES = ("inline",)
OF_LISTS = ("limit", "after", "before", "prefix", "q", "sort")
OF_LINKS = ("limit", "after")
OF_ARCHIVES = ("name", "prefix", "q")
OF_UPLOADS = ("expires",)
"""Beside these, an upload may have what JavaScript uploaders add."""


def refuse_unknown(environ: "WSGIEnvironment", known: Collection[str] | None) -> None:
    """Raise UnknownArgument if the query string has an argument that is not known."""
    query: str = environ.get("QUERY_STRING", "")
    if not query or known is ANY:
        return
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in known and not (known is OF_UPLOADS and is_argument_of_uploader(name)):
            raise UnknownArgument(name, known)
