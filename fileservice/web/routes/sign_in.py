"""GET and POST /sign-in, POST /sign-out: the page for signing in with a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Response, render_template, request

from fileservice.access import Action, PrincipalKind, Session, Unauthenticated
from fileservice.storage import StorageError
from fileservice.web import query_arguments
from fileservice.web.authentication import Authenticator
from fileservice.web.door import Door, known_principal, requires
from fileservice.web.errors import SignInRejected
from fileservice.web.local_path import local_path
from fileservice.web.security_headers import PAGE_HEADERS
from fileservice.web.sign_in import SignIn
from fileservice.web.small_form import read_small_form

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def routes(
    sign_in: SignIn,
    authenticator: Authenticator,
    door: Door,
    idle_timeout: float,
    provider: str | None,
) -> Blueprint:
    """Return the routes. `provider` is the name of the OpenID provider, if there is one."""
    blueprint = Blueprint("sign_in", __name__)

    @blueprint.app_context_processor
    def of_every_page() -> dict[str, object]:
        return {"viewer": Viewer.of(request.environ, authenticator), "provider": provider}

    @blueprint.get("/sign-in")
    @requires(Action.PUBLIC, query_arguments.ANY)
    def sign_in_page() -> Response:
        html = render_template("sign_in.html", return_to=_return_to(request.args))
        return Response(html, mimetype="text/html", headers=PAGE_HEADERS)

    @blueprint.post("/sign-in")
    @requires(Action.PUBLIC)
    def sign_in_with_token() -> Response:
        sign_in.require_own_form(request.environ)
        form = read_small_form(request.environ, idle_timeout)
        return_to = _return_to(form)
        secret, rules = form.get("token", "").strip(), authenticator.rules()
        try:
            with door.check_credentials(request.environ, secret):
                principal = rules.authenticate(secret)
                if principal is None:
                    raise Unauthenticated
        except Unauthenticated:
            raise SignInRejected(return_to) from None
        session = Session.of_token(principal.name, rules)
        return sign_in.begin(request.environ, session, return_to)

    @blueprint.post("/sign-out")
    @requires(Action.PUBLIC)
    def sign_out() -> Response:
        sign_in.require_own_form(request.environ)
        return sign_in.end(request.environ, _return_to({}))

    return blueprint


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads a page."""

    name: str
    """Empty if that is unknown."""
    is_token: bool
    """Whether it is the name of a token rather than that of a person."""
    can_sign_in: bool
    can_sign_out: bool

    @classmethod
    def of(cls, environ: "WSGIEnvironment", authenticator: Authenticator) -> "Viewer":
        """Return who reads a page, which may report that nobody could be found out."""
        principal = known_principal(environ)
        if principal is None:
            return cls("", is_token=False, can_sign_in=False, can_sign_out=False)
        if principal.kind is PrincipalKind.ANONYMOUS:
            return cls("", is_token=False, can_sign_in=authenticator.has_rules, can_sign_out=False)
        try:
            session = authenticator.session(environ)
        except StorageError:
            session = None
        has_session = session and session.principal(authenticator.rules()) == principal
        return cls(
            principal.name,
            is_token=principal.kind is PrincipalKind.TOKEN,
            can_sign_in=False,
            can_sign_out=bool(has_session),
        )


def _return_to(fields: Mapping[str, str]) -> str:
    """Return the path to which the person returns."""
    return local_path(fields.get("next", ""), request.environ.get("SCRIPT_NAME", ""))
