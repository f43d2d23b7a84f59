"""The path to which a person returns after signing in: always one of this service.

Browsers read `//evil.example`, `/\\evil.example` and the same with control characters between as
addresses of other hosts (URL standard, section 4.4), and proxies may decode a path once more. So a
path is accepted only if it is plain in every reading.
"""

import re
from urllib.parse import unquote

_PAGE = "/upload"
_MAX_LENGTH = 2048
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/\\%?#\s\x00-\x1f\x7f]+)+/?")
_QUERY = re.compile(r"[!$&-;=?-Z_a-z~%]*")


def local_path(text: str, prefix: str) -> str:
    """Return `text` if it is a path of this service with or without a query, else that of the page.

    `prefix` is what precedes all paths of this service on its host, such as "" or "/files".
    """
    path, separator, query = text.partition("?")
    encoded = re.findall("%..?", path)
    is_plain = (
        len(text) <= _MAX_LENGTH
        and text.isascii()
        and text.isprintable()
        and not any(code.lower() in ("%2f", "%5c", "%2e") for code in encoded)
        and _PATH.fullmatch(unquote(path, errors="replace"))
        and _QUERY.fullmatch(query)
    )
    if is_plain and path.startswith(f"{prefix}/"):
        return path + separator + query
    return prefix + _PAGE
