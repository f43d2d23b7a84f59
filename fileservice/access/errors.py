"""The errors of this package.

AccessError
├── Unauthenticated     there are no credentials and they are needed, or they are wrong
│   └── PasswordNeeded  the password of a link is missing or wrong
├── InvalidIdentity     what a trusted proxy says about the person is invalid
├── UnusableClaims      an OpenID provider does not say who a person is
├── Forbidden           the principal may not do this
├── TooManyRequests     the principal has made too many requests, or moved too many bytes
│   └── TooManyFailures too many credentials from this address, or for this link, were wrong
├── TooManyUploads      as many uploads are under way as the service takes at once
├── NoSuchLink          no link has this secret or id
├── LinkGone            the link was revoked, has expired, or its maker has lost its rights
├── InvalidTerms        what a link is to allow is not well-formed
├── TooManyLinks        the principal has as many links as one may have
├── QuotaExceeded       the principal would have stored more than it may
├── OwnerQuotaExceeded  so would the principal on whose behalf a guest uploads
└── UsageUnknown        what the principal has stored is being counted

AccessFileError         ACCESS_FILE cannot be read, or has mistakes
"""

from collections.abc import Iterable


class AccessError(Exception):
    """The request is refused because of who makes it."""


class Unauthenticated(AccessError):
    """Raised for missing credentials and for wrong ones alike, without saying which."""

    def __init__(self) -> None:
        super().__init__(
            "the request needs credentials that are valid now: send the secret of a token as"
            " Authorization: Bearer, or as the password of Basic with any user name"
        )


class PasswordNeeded(Unauthenticated):
    """The link has a password. `is_wrong` is whether one was sent."""

    def __init__(self, *, is_wrong: bool = False) -> None:
        super(Unauthenticated, self).__init__(
            "this is not the password of this link"
            if is_wrong
            else "this link has a password: type it on the page of the link, or send it as the"
            " password of Basic with any user name"
        )
        self.is_wrong = is_wrong


class InvalidIdentity(AccessError):
    """A proxy has not named exactly one person; `reason` says what the field is, after its name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a field by which the proxy names who makes the request {reason}")


class Forbidden(AccessError):
    """The principal lacks a scope, or the name does not begin with its prefix."""

    def __init__(self, *, scopes: Iterable[str] = (), prefix: str = "") -> None:
        needed = ", ".join(sorted(scopes))
        super().__init__(
            f"this needs the scope {needed}, which these credentials do not have"
            if needed
            else f"these credentials are only for names that begin with {prefix!r}"
        )


class UnusableClaims(AccessError):
    def __init__(self) -> None:
        super().__init__(
            "the OpenID provider has neither verified your email nor given you an identifier that"
            " cannot be taken for one"
        )


class TooManyRequests(AccessError):
    """`retry_after` is in how many seconds the next request will be answered."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(self._describe(retry_after))
        self.retry_after = retry_after

    def _describe(self, seconds: int) -> str:
        return (
            "these are too many requests, or too many bytes, for the time being;"
            f" try again in {seconds} s"
        )


class TooManyFailures(TooManyRequests):
    """Credentials are not looked at, so nothing is said about these.

    `of_link` is whether too many were wrong for one link, from whatever addresses.
    """

    def __init__(self, retry_after: int, *, of_link: bool = False) -> None:
        self._of = "by this link" if of_link else "from this address"
        super().__init__(retry_after)

    def _describe(self, seconds: int) -> str:
        return (
            f"too many requests {self._of} had credentials that were wrong;"
            f" try again in {seconds} s"
        )


class TooManyUploads(AccessError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} uploads are under way, and no more are taken at present")
        self.limit = limit


class NoSuchLink(AccessError):
    def __init__(self) -> None:
        super().__init__("there is no such link; check that all of it was copied")


class LinkGone(AccessError):
    """Raised for whatever reason; who has the link is not told which, nor who made it."""

    def __init__(self) -> None:
        super().__init__(
            "this link is not valid any more: it has expired or was revoked, all of its uses were"
            " taken, or what it was made for is not there; ask for another one"
        )


class InvalidTerms(AccessError):
    """`member` is what is wrong, and ``str(error)`` says how."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(f"{member} {problem}")
        self.member = member


class TooManyLinks(AccessError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"you have {limit} links that are not over, and may have no more; revoke some of them"
        )
        self.limit = limit


class QuotaExceeded(AccessError):
    """The principal would have more `bytes` or `files` (the `resource`) than its quota allows."""

    def __init__(self, resource: str, *, limit: int, used: int) -> None:
        self.resource = resource
        self.limit = limit
        self.used = used
        """What is stored, and what is reserved for uploads that have not ended."""
        self.available = max(0, limit - used)
        super().__init__(
            f"the quota is {limit} {resource}, of which {used} are used by stored files and by"
            f" uploads that have not ended; {self.available} are available"
        )


class OwnerQuotaExceeded(AccessError):
    def __init__(self) -> None:
        super().__init__(
            "whoever gave you this link has no space left for the file; ask them to make some"
        )


class UsageUnknown(AccessError):
    """Nobody has counted yet what the principal has stored, or the counter was lost."""

    def __init__(self) -> None:
        super().__init__("what you have stored is being counted; try again in a moment")


class AccessFileError(Exception):
    """ACCESS_FILE cannot be used; `problems` has one sentence for each mistake.

    They name tokens and people, so they are for the operator and never part of an answer.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
