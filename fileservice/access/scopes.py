"""Scopes, which principals have, and actions, which need them."""

from enum import Enum, StrEnum


class Scope(StrEnum):
    """What a principal may do; the values are those of ANONYMOUS and ACCESS_FILE."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    SHARE = "share"
    """Make links."""
    ADMIN = "admin"
    """See and revoke the links of all, and read the metrics from other machines."""


class Action(Enum):
    """What a request does, in words, and the `scopes` that it needs, all of them."""

    def __init__(self, description: str, scopes: frozenset[Scope]) -> None:
        self.description = description
        self.scopes = scopes

    PUBLIC = "public", frozenset[Scope]()
    """Show something that is no secret, such as a style sheet or the page for signing in."""
    VIEW_PAGE = "view page", frozenset[Scope]()
    """Show the page, which contains what its reader may see and offers what the reader may do."""
    OPEN_LINK = "open link", frozenset[Scope]()
    """Show the page of a link, or say its password."""
    LIST = "list", frozenset({Scope.LIST})
    READ = "read", frozenset({Scope.READ})
    WRITE = "write", frozenset({Scope.WRITE})
    RESUME = "resume", frozenset({Scope.WRITE})
    """Ask for, append to or end an unfinished upload, which must be the principal's own."""
    DELETE = "delete", frozenset({Scope.DELETE})
    REPLACE = "replace", frozenset({Scope.WRITE, Scope.DELETE})
    """Upload a file that takes the place of another."""
    SHARE = "share", frozenset({Scope.SHARE})
    """Make a link; what the link would give is needed as well."""
    READ_METRICS = "read metrics", frozenset({Scope.ADMIN})
    """See what is counted of all requests; a program on this machine needs no scope."""
    MANAGE_LINKS = "manage links", frozenset({Scope.SHARE})
    """List and revoke one's own links, or those of all with the scope `admin`, which suffices."""
