"""The door: every request passes it before its body is read, and none without a decision.

Every view declares the action of its requests (`requires`). The door finds out who makes a request
and has `access.decide` say whether that principal may perform the action. It works on the WSGI
environment alone, so that it does not depend on Flask.
"""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from flask import Flask, Response, after_this_request, request

from fileservice.access import (
    Action,
    ByteMeter,
    GuestAccount,
    Limits,
    Link,
    LinkGone,
    Maker,
    Principal,
    PrincipalKind,
    QuotaAccount,
    QuotaAccounts,
    TooManyUploads,
    Unauthenticated,
    decide,
    may_see,
)
from fileservice.addresses import client_key
from fileservice.names import FileName
from fileservice.request_record import record_of
from fileservice.storage import StorageError, StoredFile
from fileservice.upload import Caller
from fileservice.web.audit import audit_files, require_audit_log
from fileservice.web.authentication import Authenticator
from fileservice.web.guests import account_of_guest
from fileservice.web.link_access import secret_in_path
from fileservice.web.loopback import is_from_this_machine
from fileservice.web.path_parameters import parse_path_parameters
from fileservice.web.query_arguments import refuse_unknown
from fileservice.web.requests import client_address
from fileservice.wsgi_extensions import meter_transfer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_View = TypeVar("_View", bound=Callable[..., object])
_ACTION = "__fileservice_action__"
_ARGUMENTS = "__fileservice_arguments__"
_PRINCIPAL = "fileservice.principal"
_UPLOAD = "fileservice.is_upload"
_METER = "fileservice.byte_meter"
_ACTIONS_OF_UPLOADS = frozenset({Action.WRITE, Action.RESUME})
_METHODS_OF_UPLOADS = frozenset({"POST", "PUT", "PATCH"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What downloads do is audited when it is known which file they are of."""


def requires(action: Action, arguments: Collection[str] | None = ()) -> Callable[[_View], _View]:
    """Declare the action of a view; to be written below the decorator of its route.

    `arguments` are those that the query string may have (`query_arguments`).
    """

    def declare(view: _View) -> _View:
        view.__dict__[_ACTION] = action
        view.__dict__[_ARGUMENTS] = arguments
        return view

    return declare


def declared_action(view: Callable[..., object]) -> Action:
    """Return the action of a view. Raise TypeError if it declares none."""
    action: Action | None = view.__dict__.get(_ACTION)
    if action is None:
        raise TypeError(f"{view.__module__}.{view.__qualname__} does not declare its action")
    return action


def known_arguments(view: Callable[..., object]) -> Collection[str] | None:
    """Return which arguments the query string of a view may have."""
    arguments: Collection[str] | None = view.__dict__[_ARGUMENTS]
    return arguments


def principal_of(environ: "WSGIEnvironment") -> Principal:
    """Return the principal of a request that has passed the door."""
    principal: Principal = environ[_PRINCIPAL]
    return principal


def known_principal(environ: "WSGIEnvironment") -> Principal | None:
    """Return the principal of a request; None if it has not passed the door."""
    return environ.get(_PRINCIPAL)


class Door:
    """Decides for each request, and decides again when an upload is about to be published."""

    def __init__(
        self, authenticator: Authenticator, limits: Limits, accounts: QuotaAccounts
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._accounts = accounts

    def admit(self, environ: "WSGIEnvironment", action: Action) -> None:
        """Find the principal of a request, which must be able to perform the action on some file.

        What anybody may do is let through without a principal if the store cannot say whether a
        session is valid: the page for signing in is not in the store. Raise Unauthenticated,
        Forbidden, TooManyRequests, TooManyUploads or AuditUnavailable, or a StorageError. `leave`
        must be called when the request has ended, whether this raised or not.
        """
        record = record_of(environ)
        record.action = action.description
        if environ["REQUEST_METHOD"] not in _SAFE_METHODS:
            require_audit_log(environ)
        try:
            principal = self._identify(environ)
        except StorageError:
            if action is not Action.PUBLIC:
                raise
            return
        if principal.name:
            environ["REMOTE_USER"] = principal.id  # for the request log
        environ[_PRINCIPAL] = principal
        if self._limits.rate and action is not Action.PUBLIC:
            client = _client(principal, environ)
            self._limits.rate.admit(client)
            environ[_METER] = self._limits.rate.meter(client)
        if action is not Action.READ_METRICS or not is_from_this_machine(environ):
            decide(principal, action)
        if action in _ACTIONS_OF_UPLOADS and environ["REQUEST_METHOD"] in _METHODS_OF_UPLOADS:
            if not self._limits.uploads.take():
                raise TooManyUploads(self._limits.uploads.limit)
            environ[_UPLOAD] = True
            record.transfer = "upload"

    @staticmethod
    def admit_to_file(environ: "WSGIEnvironment", action: Action, name: FileName) -> None:
        """Let a request that was admitted have the file of this name. Raise Forbidden."""
        decide(principal_of(environ), action, name)

    @staticmethod
    def meter(environ: "WSGIEnvironment") -> ByteMeter | None:
        """Have the bytes of the request and of its response counted if they are limited.

        Return the meter if it has to be told about the response, since the server does not tell
        what it sends.
        """
        meter: ByteMeter | None = environ.get(_METER)
        return None if meter is None or meter_transfer(environ, meter) else meter

    def maker(self, environ: "WSGIEnvironment") -> Maker:
        """Return who makes a link by this request, which has passed the door."""
        return self._authenticator.maker(environ, principal_of(environ))

    def is_usable(self, link: Link) -> bool:
        """Return whether a link is not over, and its maker has the rights that it needs now."""
        try:
            link.require_valid(time.time())
            link.principal(self._authenticator.rules())
        except LinkGone:
            return False
        return True

    def leave(self, environ: "WSGIEnvironment") -> None:
        """Free what a request has taken. The body of its response may still have to be sent."""
        if environ.pop(_UPLOAD, False):
            self._limits.uploads.give_back()
        meter: ByteMeter | None = environ.pop(_METER, None)
        if meter:
            meter.flush()

    def check_credentials(
        self, environ: "WSGIEnvironment", credentials: str
    ) -> AbstractContextManager[None]:
        """Return a context in which credentials that could be guessed are checked.

        It must raise Unauthenticated if they are wrong. After too many of the same address, the
        context raises TooManyFailures instead.
        """
        failures = self._limits.failures
        if failures is None:
            return nullcontext()
        return failures.attempt(client_key(client_address(environ)), credentials)

    def unlock(self, environ: "WSGIEnvironment", password: str) -> None:
        """Let a request by a link do what the link is for, if this is its password.

        Raise PasswordNeeded, TooManyFailures.
        """
        links = self._authenticator.link_access
        assert links
        links.unlock(environ, password, self._limits.failures)

    def _identify(self, environ: "WSGIEnvironment") -> Principal:
        links = self._authenticator.link_access
        if links and secret_in_path(environ) is not None:
            principal = self._authenticator.identify(environ)
            password = links.sent_password(environ) if principal.locked else None
            if password is None:
                return principal
            self.unlock(environ, password)
            return self._authenticator.identify(environ)
        credentials = environ.get("HTTP_AUTHORIZATION")
        if credentials is None:
            return self._authenticator.identify(environ)
        with self.check_credentials(environ, credentials):
            return self._authenticator.identify(environ)

    def caller(self, environ: "WSGIEnvironment") -> Caller:
        """Return who uploads by this request, which has passed the door."""
        principal = latest = principal_of(environ)

        def authorize(name: FileName | None, action: Action = Action.WRITE) -> None:
            # The credentials are looked at again: they may have been revoked meanwhile.
            nonlocal latest
            current = self._authenticator.identify(environ)
            if current is not principal and current.id != principal.id:
                raise Unauthenticated
            decide(current, action, name)
            require_audit_log(environ)
            latest = current

        def report_stored(file: StoredFile, is_replacement: bool) -> None:
            audit_files(environ, "replaced" if is_replacement else "stored", file)

        account: QuotaAccount | GuestAccount
        if principal.kind is PrincipalKind.LINK:
            rules = self._authenticator.rules
            account = account_of_guest(environ, principal, self._accounts, rules)
        else:
            # Nobody owns what clients without credentials store.
            owner = "" if principal.kind is PrincipalKind.ANONYMOUS else principal.id
            account = self._accounts.account(owner, lambda: latest.quota)
        return Caller(
            principal.id,
            _client(principal, environ),
            authorize,
            partial(authorize, action=Action.REPLACE),
            may_see=partial(may_see, principal),
            report_stored=report_stored,
            stages=record_of(environ).upload_stages(),
            ids=record_of(environ).ids,
            account=account,
        )


def _client(principal: Principal, environ: "WSGIEnvironment") -> str:
    """Return for whom things are counted: a principal, or the address of an anonymous client."""
    if principal.kind is PrincipalKind.ANONYMOUS:
        return client_key(client_address(environ))
    return principal.id


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
        view = app.view_functions[request.endpoint]
        action = declared_action(view)
        door.admit(request.environ, action)
        parse_path_parameters()
        for value in (request.view_args or {}).values():
            if isinstance(value, FileName):
                door.admit_to_file(request.environ, action, value)
        refuse_unknown(request.environ, known_arguments(view))
        if door.meter(request.environ):
            after_this_request(_count_response)

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        door.leave(request.environ)


def _count_response(response: Response) -> Response:
    """Count all of a response at once, where the server does not tell what it sends."""
    meter: ByteMeter = request.environ[_METER]
    meter.count(response.content_length or 0)
    return response
