"""The signature of an event, by the Standard Webhooks specification 1.0.0 (symmetric, v1)."""

import base64
import hashlib
import hmac


def signature_fields(secret: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the header fields of a request with this body.

    `timestamp` is when it is sent, in seconds since the Unix epoch: receivers refuse what is old,
    so that nobody can repeat a request that was recorded.
    """
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
