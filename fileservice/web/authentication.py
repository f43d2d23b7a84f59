"""Authentication: which principal makes a request."""

from typing import TYPE_CHECKING

from fileservice.access import (
    AccessFile,
    AccessRules,
    Identity,
    Principal,
    PrincipalKind,
    Unauthenticated,
)
from fileservice.protocols.credentials import parse_authorization
from fileservice.web.identity_fields import IdentityFields

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Authenticator:
    """Finds the principal from the credentials of a request. Threads may share it."""

    def __init__(
        self,
        anonymous: Principal,
        access_file: AccessFile | None = None,
        identity_fields: IdentityFields | None = None,
    ) -> None:
        """`anonymous` is the principal of requests without credentials.

        Without an `access_file` there are no others, and all credentials are wrong.
        """
        self._anonymous = anonymous
        self._access_file = access_file
        self._identity_fields = identity_fields or IdentityFields(None)

    def identify(self, environ: "WSGIEnvironment") -> Principal:
        """Return the principal; raise Unauthenticated if there are credentials and they are wrong.

        Authorization comes first, since the client has chosen it, and then what a trusted proxy
        says about the person (which may raise InvalidIdentity). Wrong credentials never make a
        request anonymous: their owner would not notice that they have expired.
        """
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            identity = self._identity_fields.read(environ)
            return self._anonymous if identity is None else self._person(identity)
        # Credentials that are malformed are looked up like all others, and take the same time.
        principal = self._rules().authenticate(parse_authorization(authorization) or "")
        if principal is None:
            raise Unauthenticated
        return principal

    def _person(self, identity: Identity) -> Principal:
        """Return the person, which may do nothing if ACCESS_FILE names neither it nor a group."""
        nobody = Principal(PrincipalKind.PERSON, identity.name, frozenset())
        return self._rules().person(identity.name, identity.groups) or nobody

    def _rules(self) -> AccessRules:
        return self._access_file.rules() if self._access_file else AccessRules.empty()
