"""The errors that the HTTP layer raises itself.

RequestError
├── BadAddress              Host, or an X-Forwarded field of a trusted proxy, is invalid
├── BadQuery                an argument in the query string is invalid
├── UnknownArgument         the address does not know an argument in the query string
├── CrossSite               a page of another site sent a request that would change something
├── ForeignForm             a form did not come from a page of this service
├── Unasked                 the file of a link was asked for, and not by a person who follows it
├── SignInRejected          the token that a person has signed in with is wrong
├── SignInFailed            the way to the OpenID provider and back was not gone as it should be
├── ProviderUnavailable     the OpenID provider does not answer, or not as it should
├── SignOutIncomplete       the browser forgets a session whose end the store could not record
├── UnknownPerson           a person has signed in, and the rules name neither it nor its groups
├── WrongHost               Host names a host that is not the service's
├── WrongMethod             the address does not take the method of the request
│   └── MethodElsewhere     another address does
├── NoSuchFile              no file can have the name in the path
├── PreconditionFailed      a condition of the request is false (RFC 9110 section 13.1)
├── Overloaded              other requests have been waiting for too long
├── TooManySearches         other requests search or sort the list
├── AuditUnavailable        what would be done cannot be written to the audit log
├── NotReady                the service should get no requests now
└── ShuttingDown            the service is about to stop

BodyError (in `protocols.errors`)
├── BadJSON                 the body is not the JSON that it must be
├── LengthRequired          neither Content-Length nor Transfer-Encoding says that there is a body
├── TooSlow                 fewer than 1 KiB arrived within the idle timeout
└── WrongContentType        Content-Type is not the one that the body must have
"""

from collections.abc import Collection

from fileservice.protocols.errors import BodyError


class RequestError(Exception):
    """The request cannot be answered."""


class BadAddress(RequestError):
    """An address is invalid; ``str(error)`` names the field."""


class BadQuery(RequestError):
    """An argument is invalid; ``str(error)`` names it and says what it must be."""


class UnknownArgument(RequestError):
    def __init__(self, argument: str, known: Collection[str]) -> None:
        takes = f"those that it knows are {', '.join(known)}" if known else "it knows none"
        super().__init__(f"this address does not know the argument {argument!r}; {takes}")
        self.argument = argument
        self.known = list(known)


class CrossSite(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "the request comes from a page of another site; for pages that may upload and delete,"
            " name their origin in FILESERVICE_CORS_ORIGINS; where this is the service's own page,"
            " FILESERVICE_PUBLIC_URL must be the address that the browser shows"
        )


class ForeignForm(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "this form is accepted only from the page of the service itself, and the request does"
            " not say that it comes from there (Sec-Fetch-Site, Origin or Referer)"
        )


class Unasked(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "the file of a link is not sent as a part of a page of another site, nor ahead of time:"
            " open the link itself"
        )


class SignInRejected(RequestError):
    """`return_to` is the path to which the person returns after signing in."""

    def __init__(self, return_to: str) -> None:
        super().__init__(
            "this is not a token that is valid now; check that all of it was copied, or ask for a"
            " new one"
        )
        self.return_to = return_to


class SignInFailed(RequestError):
    """``str(error)`` says why; it contains nothing that the request or the provider said."""


class ProviderUnavailable(RequestError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"people cannot sign in with the OpenID provider at present: {reason}; try again later"
        )


class SignOutIncomplete(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "this browser has forgotten who you are, but the storage could not record that the"
            " session has ended: a copy of it, if somebody has one, is valid until it expires,"
            " within 12 hours; tell the operator of this service if that matters"
        )


class UnknownPerson(RequestError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"you have signed in as {name!r}, and neither you nor a group of yours has been given"
            " any rights here; ask the operator of this service for them"
        )


class WrongHost(RequestError):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"this service does not answer for the host {host!r}; if it should, name it in"
            " FILESERVICE_ALLOWED_HOSTS or FILESERVICE_PUBLIC_URL"
        )
        self.host = host


class WrongMethod(RequestError):
    """`allowed` are the methods that the address takes."""

    def __init__(self, method: str, allowed: Collection[str], hint: str = "") -> None:
        takes = f"; it takes {', '.join(allowed)}" if allowed else ""
        super().__init__(f"this address does not take {method}{takes}{hint}")
        self.method = method
        self.allowed = allowed


class MethodElsewhere(WrongMethod):
    """`address` is the path of the address that takes the method."""

    def __init__(self, method: str, allowed: Collection[str], address: str) -> None:
        super().__init__(method, allowed, f"; send {method} to {address}")
        self.address = address


class NoSuchFile(RequestError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no file named {name!r}")
        self.name = name


class PreconditionFailed(RequestError):
    def __init__(self) -> None:
        super().__init__("the file is not in the state that the request's conditions ask for")


class Overloaded(RequestError):
    def __init__(self) -> None:
        super().__init__("there is more to do than can be done at once; try again soon")


class TooManySearches(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "other requests are searching or sorting the list just now; try again in a moment"
        )


class AuditUnavailable(RequestError):
    def __init__(self) -> None:
        super().__init__(
            "the service records what is done, and cannot do so at present; try again later"
        )


class NotReady(RequestError):
    """The service does not work as it should; ``str(error)`` says why."""


class ShuttingDown(RequestError):
    def __init__(self) -> None:
        super().__init__("the service is being stopped; requests that have begun are finished")


class BadJSON(BodyError):
    """The body cannot be read as JSON; ``str(error)`` says why."""


class LengthRequired(BodyError):
    def __init__(self) -> None:
        super().__init__(
            "the request has no body: send Content-Length (0 for an empty file) or a chunked body"
        )


class TooSlow(BodyError):
    def __init__(self, seconds: float, minimum: int) -> None:
        super().__init__(
            f"fewer than {minimum} bytes arrived within {seconds:g} s; send the file again, or"
            " continue a resumable upload at its offset"
        )


class WrongContentType(BodyError):
    def __init__(self, expected: str) -> None:
        super().__init__(f"bytes of an upload are sent with Content-Type: {expected}")
        self.expected = expected
