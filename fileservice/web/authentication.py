"""Authentication: which principal makes a request."""

from typing import TYPE_CHECKING

from fileservice.access import AccessFile, AccessRules, Principal, Unauthenticated
from fileservice.protocols.credentials import parse_authorization

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Authenticator:
    """Finds the principal from the credentials of a request. Threads may share it."""

    def __init__(self, anonymous: Principal, access_file: AccessFile | None = None) -> None:
        """`anonymous` is the principal of requests without credentials.

        Without an `access_file` there are no others, and all credentials are wrong.
        """
        self._anonymous = anonymous
        self._access_file = access_file

    def identify(self, environ: "WSGIEnvironment") -> Principal:
        """Return the principal; raise Unauthenticated if there are credentials and they are wrong.

        Wrong credentials never make a request anonymous: their owner would not notice that they
        have expired.
        """
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            return self._anonymous
        # Credentials that are malformed are looked up like all others, and take the same time.
        principal = self._rules().authenticate(parse_authorization(authorization) or "")
        if principal is None:
            raise Unauthenticated
        return principal

    def _rules(self) -> AccessRules:
        return self._access_file.rules() if self._access_file else AccessRules.empty()
