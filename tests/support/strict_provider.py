"""oidc-provider-mock, which ignores PKCE, with the checks of RFC 7636 in front of it.

    python -m tests.support.strict_provider PORT

It gives no code without a challenge by S256 (section 4.3), and for a code no token without the
verifier of that challenge (section 4.6).
"""

import base64
import hashlib
import hmac
import sys
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import flask
import oidc_provider_mock
import uvicorn

_challenges: dict[str, str] = {}
"""The challenges with which codes were asked for, by code."""


def app() -> flask.Flask:
    """Return the provider as a WSGI application."""
    provider = oidc_provider_mock.app(require_nonce=True)

    @provider.before_request
    def verify() -> tuple[dict[str, str], HTTPStatus] | None:
        asked = flask.request
        if asked.path == "/oauth2/authorize":
            is_strong = asked.args.get("code_challenge_method") == "S256"
            if not is_strong or len(asked.args.get("code_challenge", "")) != 43:
                return {"error": "invalid_request"}, HTTPStatus.BAD_REQUEST
        elif asked.path == "/oauth2/token":
            challenge = _challenges.pop(asked.form.get("code", ""), "")
            if not hmac.compare_digest(challenge, challenge_of(asked.form.get("code_verifier"))):
                return {"error": "invalid_grant"}, HTTPStatus.BAD_REQUEST
        return None

    @provider.after_request
    def remember(response: flask.Response) -> flask.Response:
        if flask.request.path == "/oauth2/authorize":
            query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
            for code in query.get("code", []):
                _challenges[code] = flask.request.args["code_challenge"]
        return response

    return provider


def challenge_of(verifier: str | None) -> str:
    """Return the challenge that belongs to a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


if __name__ == "__main__":
    uvicorn.run(app(), interface="wsgi", host="localhost", port=int(sys.argv[1]), log_config=None)
