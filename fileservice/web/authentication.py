"""Authentication: which principal makes a request."""

from typing import TYPE_CHECKING

from fileservice.access import (
    AccessFile,
    AccessRules,
    Maker,
    NoSuchLink,
    Principal,
    PrincipalKind,
    Session,
    Unauthenticated,
)
from fileservice.protocols.credentials import parse_authorization
from fileservice.web.identity_fields import IdentityFields
from fileservice.web.link_access import LinkAccess, secret_in_path
from fileservice.web.link_credentials import LinkCredentials
from fileservice.web.session_cookie import SessionCookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Authenticator:
    """Finds the principal from the credentials of a request. Threads may share it."""

    def __init__(
        self,
        anonymous: Principal,
        access_file: AccessFile | None = None,
        identity_fields: IdentityFields | None = None,
        session_cookie: SessionCookie | None = None,
        link_credentials: LinkCredentials | None = None,
        link_access: LinkAccess | None = None,
    ) -> None:
        """`anonymous` is the principal of requests without credentials.

        Without an `access_file` there are no others, and all credentials are wrong.
        """
        self._anonymous = anonymous
        self._access_file = access_file
        self._identity_fields = identity_fields or IdentityFields(None)
        self._session_cookie = session_cookie
        self._link_credentials = link_credentials
        self.link_access = link_access

    def identify(self, environ: "WSGIEnvironment") -> Principal:
        """Return the principal; raise Unauthenticated if there are credentials and they are wrong.

        Who has the URL of a link uses that link. Otherwise Authorization comes first, since the
        client has chosen it, then the session, and then what a trusted proxy says about the person
        (which may raise InvalidIdentity). Wrong credentials never make a request anonymous: their
        owner would not notice that they have expired. But a browser keeps sending a session that is
        over, so that counts as none. A link that is over raises LinkGone.
        """
        secret = secret_in_path(environ)
        if secret is not None and self.link_access:
            return self.link_access.identify(environ, secret, self.rules())
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            return self._signed_in(environ) or self._named(environ) or self._anonymous
        # Credentials that are malformed are looked up like all others, and take the same time.
        secret = parse_authorization(authorization) or ""
        return self.rules().authenticate(secret) or self._by_link(environ, secret)

    def maker(self, environ: "WSGIEnvironment", principal: Principal) -> Maker:
        """Return the `principal`, a token or a person who makes this request, as makers are kept.

        It must have been identified by this request.
        """
        rules = self.rules()
        if "HTTP_AUTHORIZATION" in environ:
            return Maker.of_token(principal.name, rules)
        session = self.session(environ)
        if session and (session.kind, session.name) == (principal.kind, principal.name):
            return Maker.of_session(session)
        identity = self._identity_fields.read(environ)
        return Maker.of_person(principal.name, identity.groups if identity else (), rules)

    def _by_link(self, environ: "WSGIEnvironment", secret: str) -> Principal:
        """Return the link with this secret; raise Unauthenticated, or LinkGone if it is over."""
        if self._link_credentials is None:
            raise Unauthenticated
        try:
            return self._link_credentials.identify(environ, secret, self.rules())
        except NoSuchLink:
            raise Unauthenticated from None

    def _signed_in(self, environ: "WSGIEnvironment") -> Principal | None:
        session = self.session(environ)
        return session.principal(self.rules()) if session else None

    def _named(self, environ: "WSGIEnvironment") -> Principal | None:
        """Return whom a proxy names; it may do nothing if the rules name neither it nor a group."""
        identity = self._identity_fields.read(environ)
        if identity is None:
            return None
        nobody = Principal(PrincipalKind.PERSON, identity.name, frozenset())
        return self.rules().person(identity.name, identity.groups) or nobody

    def session(self, environ: "WSGIEnvironment") -> Session | None:
        """Return the session of a request that has no other credentials. Raises StorageError."""
        if "HTTP_COOKIE" not in environ or "HTTP_AUTHORIZATION" in environ:
            return None
        if self._session_cookie is None:
            return None
        return self._session_cookie.read(environ)

    @property
    def has_rules(self) -> bool:
        """Whether anybody can have credentials."""
        return self._access_file is not None

    def rules(self) -> AccessRules:
        """Return the rules as they are now."""
        return self._access_file.rules() if self._access_file else AccessRules.empty()
