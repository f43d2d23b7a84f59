"""Access: who may do what.

A request is made by a `Principal`, which has scopes. Every route declares the `Action` of its
requests, and `decide` says whether the principal may perform it. What other packages may use is
exported here; the errors are drawn as a tree in `fileservice.access.errors`.
"""

from fileservice.access.decide import decide
from fileservice.access.errors import AccessError, Forbidden, Unauthenticated
from fileservice.access.principals import Principal, PrincipalKind, Quota, anonymous
from fileservice.access.scopes import Action, Scope

__all__ = [
    "AccessError",
    "Action",
    "Forbidden",
    "Principal",
    "PrincipalKind",
    "Quota",
    "Scope",
    "Unauthenticated",
    "anonymous",
    "decide",
]
