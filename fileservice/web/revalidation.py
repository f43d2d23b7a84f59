"""Weak entity tags of what the service lists, so that a client need not fetch it again."""

import hashlib

from flask import Response, request


def revalidated(response: Response) -> Response:
    """Return a response with a weak entity tag, or 304 if the client has it (RFC 9110 8.8.3).

    The tag is made of the body and of what the body depends on beside the store.
    """
    tag = hashlib.sha256(response.get_data())
    tag.update(response.headers.get("Link", "").encode())
    response.set_etag(tag.hexdigest()[:32], weak=True)
    response.make_conditional(request)
    return response
