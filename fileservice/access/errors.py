"""The errors of this package.

AccessError
├── Unauthenticated     there are no credentials and they are needed, or they are wrong
├── InvalidIdentity     what a trusted proxy says about the person is invalid
└── Forbidden           the principal may not do this

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


class AccessFileError(Exception):
    """ACCESS_FILE cannot be used; `problems` has one sentence for each mistake.

    They name tokens and people, so they are for the operator and never part of an answer.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
