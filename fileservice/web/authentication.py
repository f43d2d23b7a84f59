"""Authentication: which principal makes a request."""

from typing import TYPE_CHECKING

from fileservice.access import Principal, Unauthenticated

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Authenticator:
    """Finds the principal from the credentials of a request."""

    def __init__(self, anonymous: Principal) -> None:
        """`anonymous` is the principal of requests without credentials."""
        self._anonymous = anonymous

    def identify(self, environ: "WSGIEnvironment") -> Principal:
        """Return the principal; raise Unauthenticated if there are credentials and they are wrong.

        Wrong credentials never make a request anonymous: their owner would not notice that they
        have expired.
        """
        if environ.get("HTTP_AUTHORIZATION"):
            raise Unauthenticated
        return self._anonymous
