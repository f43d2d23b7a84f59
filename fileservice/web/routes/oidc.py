"""GET /sign-in/oidc and GET /sign-in/oidc/callback: sign in with OpenID Connect.

A browser is sent to the provider and comes back with a code. What belongs to the way there is kept
in a signed cookie of that browser, so that nobody can make another browser come back with it.
"""

import hmac
import re
import time
from dataclasses import astuple
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from itsdangerous import BadData
from werkzeug.exceptions import NotFound

from fileservice.access import (
    Action,
    Authorization,
    SecretKey,
    Session,
    person_of,
    serializer,
)
from fileservice.web import query_arguments
from fileservice.web.authentication import Authenticator
from fileservice.web.cookies import Cookies
from fileservice.web.door import requires
from fileservice.web.errors import SignInFailed, UnknownPerson
from fileservice.web.local_path import local_path
from fileservice.web.sign_in import SignIn
from fileservice.web.urls import base_url

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from fileservice.web.openid_provider import OpenIDProvider

_COOKIE = "fileservice-oidc"
_PURPOSE = "OpenID Connect 1"
_SECONDS = 600
"""How long a person may take at the provider."""
_BEGIN_AGAIN = "this way of signing in has ended, or did not begin in this browser; begin again"
_ERROR = re.compile(r"[a-z_]{1,40}")


def routes(
    provider: "OpenIDProvider | None",
    flow: "Flow",
    sign_in: SignIn,
    authenticator: Authenticator,
    public_url: str | None,
) -> Blueprint:
    """Return the routes for signing in with this provider. Without one, there is nothing there."""
    blueprint = Blueprint("oidc", __name__)

    @blueprint.get("/sign-in/oidc")
    @requires(Action.PUBLIC, query_arguments.ANY)
    def begin() -> Response:
        if provider is None:
            raise NotFound
        redirect_uri = f"{base_url(public_url)}/sign-in/oidc/callback"
        url, authorization = provider.authorize(redirect_uri)
        response = Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
        prefix = request.environ.get("SCRIPT_NAME", "")
        return_to = local_path(request.args.get("next", ""), prefix)
        flow.begin(response, request.environ, authorization, return_to)
        return response

    @blueprint.get("/sign-in/oidc/callback")
    @requires(Action.PUBLIC, query_arguments.ANY)
    def callback() -> Response:
        if provider is None:
            raise NotFound
        authorization, return_to = flow.read(request.environ)
        if not hmac.compare_digest(
            request.args.get("state", "").encode(), authorization.state.encode()
        ):
            raise SignInFailed(_BEGIN_AGAIN)
        if "code" not in request.args:
            raise SignInFailed(_refusal(request.args.get("error", "")))
        claims = provider.claims(request.args["code"], authorization)
        name, groups = person_of(claims, provider.groups_claim)
        rules = authenticator.rules()
        if rules.person(name, groups) is None:
            raise UnknownPerson(name)
        session = Session.of_person(name, groups, rules)
        response = sign_in.begin(request.environ, session, return_to)
        flow.end(response, request.environ)
        return response

    return blueprint


class Flow:
    """What a browser keeps between leaving for the provider and coming back."""

    def __init__(self, secret_key: SecretKey, cookies: Cookies) -> None:
        self._secret_key = secret_key
        self._cookies = cookies

    def begin(
        self,
        response: Response,
        environ: "WSGIEnvironment",
        authorization: Authorization,
        return_to: str,
    ) -> None:
        """Have the browser keep what belongs to the way there. Raises StorageError."""
        expires = int(time.time()) + _SECONDS
        fields = (expires, return_to, *astuple(authorization))
        text = serializer(self._secret_key.make(), _PURPOSE).dumps(fields)
        self._cookies.set(response, environ, _COOKIE, text, _SECONDS)

    def read(self, environ: "WSGIEnvironment") -> tuple[Authorization, str]:
        """Return what the browser has kept, and the path to return to. Raises SignInFailed."""
        text, secret_key = self._cookies.get(environ, _COOKIE), self._secret_key.find()
        if not text or not secret_key:
            raise SignInFailed(_BEGIN_AGAIN)
        try:
            expires, return_to, *fields = serializer(secret_key, _PURPOSE).loads(text)
        except BadData:
            raise SignInFailed(_BEGIN_AGAIN) from None
        if time.time() >= expires:
            raise SignInFailed(_BEGIN_AGAIN)
        return Authorization(*fields), return_to

    def end(self, response: Response, environ: "WSGIEnvironment") -> None:
        """Have the browser forget it."""
        self._cookies.set(response, environ, _COOKIE, "", 0)


def _refusal(error: str) -> str:
    """Return what a person is told whom the provider has not signed in (RFC 6749 4.1.2.1)."""
    reason = f" ({error})" if _ERROR.fullmatch(error) else ""
    return f"the OpenID provider did not sign you in{reason}"
