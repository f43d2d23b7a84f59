"""When the file of a request is to expire."""

import time
from typing import TYPE_CHECKING

from fileservice.protocols.errors import BadExpiry
from fileservice.protocols.expiry_times import parse_expiry
from fileservice.upload import UploadPolicy
from fileservice.web.requests import query

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ARGUMENT = "expires"
"""The name of the argument in the query string, and of the field in forms and in metadata of tus"""


def requested_expiry(policy: UploadPolicy, environ: "WSGIEnvironment", *values: str) -> int | None:
    """Return when the file of a request is to expire (Unix seconds); None if it does not say.

    The request says so in its query string, or with `values` from elsewhere. An empty text says
    nothing. Raise BadExpiry or ExpiryTooLate.
    """
    texts = {text.strip() for text in (*query(environ).getlist(ARGUMENT), *values)} - {""}
    if len(texts) > 1:
        raise BadExpiry("expires is given more than once, and not with the same value")
    if not texts:
        return None
    now = time.time()
    requested = parse_expiry(texts.pop(), now)
    policy.check_expiry(requested, now)
    return requested
