"""The door: every request passes it before its body is read, and none without a decision.

Every view declares the action of its requests (`requires`). The door finds out who makes a request
and has `access.decide` say whether that principal may perform the action. It works on the WSGI
environment alone, so that it does not depend on Flask.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, request

from fileservice.access import Action, Principal, Unauthenticated, decide
from fileservice.names import FileName
from fileservice.upload import Caller
from fileservice.web.authentication import Authenticator
from fileservice.web.path_parameters import parse_path_parameters
from fileservice.web.requests import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_View = TypeVar("_View", bound=Callable[..., object])
_ACTION = "__fileservice_action__"
_PRINCIPAL = "fileservice.principal"


def requires(action: Action) -> Callable[[_View], _View]:
    """Declare the action of a view; to be written below the decorator of its route."""

    def declare(view: _View) -> _View:
        view.__dict__[_ACTION] = action
        return view

    return declare


def declared_action(view: Callable[..., object]) -> Action:
    """Return the action of a view. Raise TypeError if it declares none."""
    action: Action | None = view.__dict__.get(_ACTION)
    if action is None:
        raise TypeError(f"{view.__module__}.{view.__qualname__} does not declare its action")
    return action


def principal_of(environ: "WSGIEnvironment") -> Principal:
    """Return the principal of a request that has passed the door."""
    principal: Principal = environ[_PRINCIPAL]
    return principal


def known_principal(environ: "WSGIEnvironment") -> Principal | None:
    """Return the principal of a request; None if it has not passed the door."""
    return environ.get(_PRINCIPAL)


class Door:
    """Decides for each request, and decides again when an upload is about to be published."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def admit(self, environ: "WSGIEnvironment", action: Action) -> Principal:
        """Return the principal of a request if it may perform the action on some file.

        Raise Unauthenticated or Forbidden.
        """
        principal = self._authenticator.identify(environ)
        if principal.name:
            environ["REMOTE_USER"] = principal.id  # for the access log
        decide(principal, action)
        environ[_PRINCIPAL] = principal
        return principal

    def caller(self, environ: "WSGIEnvironment") -> Caller:
        """Return who uploads by this request, which has passed the door."""
        principal = principal_of(environ)

        def authorize(name: FileName | None) -> None:
            # The credentials are looked at again: they may have been revoked meanwhile.
            current = self._authenticator.identify(environ)
            if current.id != principal.id:
                raise Unauthenticated
            decide(current, Action.WRITE, name)

        return Caller(principal.id, client_address(environ), authorize)


def register(app: Flask, door: Door) -> None:
    """Make every request to `app` pass `door` before its view is called.

    To be called when all routes are registered. Raise TypeError if a view declares no action. A
    preflight request has no credentials (Fetch standard, section 3.2.2), and what OPTIONS tells is
    no secret, so those requests are let through.
    """
    for view in app.view_functions.values():
        declared_action(view)

    @app.before_request
    def pass_door() -> None:
        if request.endpoint is None or request.method == "OPTIONS":
            return  # Flask reports that there is no such path or method
        action = declared_action(app.view_functions[request.endpoint])
        principal = door.admit(request.environ, action)
        parse_path_parameters()
        for value in (request.view_args or {}).values():
            if isinstance(value, FileName):
                decide(principal, action, value)
