"""When the file of a request is to expire."""

import time

from flask import request

from fileservice.protocols.errors import BadExpiry
from fileservice.protocols.expiry_times import parse_expiry
from fileservice.upload import UploadPolicy

ARGUMENT = "expires"
"""The name of the argument in the query string, and of the field in forms and in metadata of tus"""


def requested_expiry(policy: UploadPolicy, *values: str) -> int | None:
    """Return when the file of this request is to expire (Unix seconds); None if it does not say.

    The request says so in its query string, or with `values` from elsewhere. An empty text says
    nothing. Raise BadExpiry or ExpiryTooLate.
    """
    texts = {text.strip() for text in (*request.args.getlist(ARGUMENT), *values)} - {""}
    if len(texts) > 1:
        raise BadExpiry("expires is given more than once, and not with the same value")
    now = time.time()
    if not texts:
        return None
    requested = parse_expiry(texts.pop(), now)
    policy.check_expiry(requested, now)
    return requested
