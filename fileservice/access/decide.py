"""The decision whether a principal may do something; it reads nothing but its arguments."""

from fileservice.access.errors import Forbidden, PasswordNeeded, Unauthenticated
from fileservice.access.principals import Principal, PrincipalKind
from fileservice.access.scopes import Action, Scope
from fileservice.names import FileName

_SHOWING = frozenset({Scope.LIST, Scope.READ})
"""The scopes that show which files there are, each by itself."""


def decide(principal: Principal, action: Action, name: FileName | None = None) -> None:
    """Return if the principal may perform the action, on the file of this name if one is given.

    Raise Unauthenticated if it could after showing credentials, or Forbidden. Whether the file
    exists plays no part, so the answer does not depend on it.
    """
    missing = action.scopes - principal.scopes
    if action is Action.MANAGE_LINKS and Scope.ADMIN in principal.scopes:
        missing = frozenset()
    if missing or (action is Action.VIEW_PAGE and not principal.scopes):
        if principal.locked:
            raise PasswordNeeded
        if principal.kind is PrincipalKind.ANONYMOUS:
            raise Unauthenticated
        if missing:
            raise Forbidden(scopes=missing)
    if name is not None and not principal.covers(name):
        raise Forbidden(prefix=principal.prefix)


def may_see(principal: Principal, name: FileName) -> bool:
    """Return whether the principal may find out everything that the list says about a file.

    One that may not, but may upload, learns that a name is taken, and nothing about the file that
    has it.
    """
    return bool(principal.scopes & _SHOWING) and principal.covers(name)
