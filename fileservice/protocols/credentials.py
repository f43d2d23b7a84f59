"""The credentials in Authorization (RFC 9110 section 11.4): the schemes Bearer and Basic."""

import binascii
import re
from functools import lru_cache

_MAX_LENGTH = 1024
"""Characters of a field that is looked at; the secret of a token has 46."""
_CREDENTIALS = re.compile(r"([A-Za-z]+) +([A-Za-z0-9._~+/-]+={0,2})", re.ASCII)
"""A scheme, and its token68 (RFC 9110 section 11.2) with no more padding than base64 needs."""
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def parse_authorization(value: str) -> str | None:
    """Return the secret in the value of the field; None if it has no secret in either scheme.

    Of Bearer (RFC 6750 section 2.1) the secret is the token. Of Basic (RFC 7617, in UTF-8) it is
    the password; any user name is accepted. Several values in one field are not credentials. The
    results are kept, be there a secret or not: a client sends the same value with each request.
    """
    return _parse(value) if len(value) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _parse(value: str) -> str | None:
    match = _CREDENTIALS.fullmatch(value)
    if not match:
        return None
    scheme, token = match[1].lower(), match[2]
    if scheme == "bearer":
        return token
    return _password(token) if scheme == "basic" else None


def _password(token: str) -> str | None:
    if len(token) % 4:
        return None  # binascii accepts some padding that is not needed
    try:
        pair = binascii.a2b_base64(token, strict_mode=True).decode("utf-8")
    except ValueError:  # it is not base64, or the text is not UTF-8
        return None
    _, colon, password = pair.partition(":")
    return password if colon and password and not _CONTROL.search(pair) else None
