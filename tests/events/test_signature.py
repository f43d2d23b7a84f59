"""Signatures, which the implementations of others must accept."""

import base64
import json
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from fileservice.events import signature_fields

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_signature_is_the_one_that_the_specification_publishes() -> None:
    fields = signature_fields(
        base64.b64decode(SECRET),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert fields == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_library_of_the_specification_refuses_what_was_changed_or_is_old() -> None:
    now = int(time.time())
    webhook = Webhook(f"whsec_{SECRET}")
    body = json.dumps({"name": "ü"}).encode()
    fields = signature_fields(base64.b64decode(SECRET), "1", now, body)
    assert webhook.verify(body, fields) == {"name": "ü"}
    for forged in (fields | {"webhook-id": "2"}, fields | {"webhook-timestamp": str(now - 1)}):
        with pytest.raises(WebhookVerificationError):
            webhook.verify(body, forged)
    with pytest.raises(WebhookVerificationError):
        webhook.verify(body + b" ", fields)
    old = signature_fields(base64.b64decode(SECRET), "1", now - 600, body)
    with pytest.raises(WebhookVerificationError, match="too old"):
        webhook.verify(body, old)
