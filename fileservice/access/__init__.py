"""Access: who may do what.

A request is made by a `Principal`, which has scopes. `AccessRules` find the principal of a secret,
and `AccessFile` reads them. Every route declares the `Action` of its requests, and `decide` says
whether the principal may perform it. What other packages may use is exported here; the errors are
drawn as a tree in `fileservice.access.errors`.
"""

from fileservice.access.access_file import AccessFile, read_rules
from fileservice.access.decide import decide
from fileservice.access.errors import (
    AccessError,
    AccessFileError,
    Forbidden,
    InvalidIdentity,
    Unauthenticated,
)
from fileservice.access.identity import Identity
from fileservice.access.principals import UNLIMITED, Principal, PrincipalKind, Quota, anonymous
from fileservice.access.rules import AccessRules, Grant, Token
from fileservice.access.rules_parser import check_token_name, parse_prefix, parse_rules
from fileservice.access.scopes import Action, Scope

__all__ = [
    "UNLIMITED",
    "AccessError",
    "AccessFile",
    "AccessFileError",
    "AccessRules",
    "Action",
    "Forbidden",
    "Grant",
    "Identity",
    "InvalidIdentity",
    "Principal",
    "PrincipalKind",
    "Quota",
    "Scope",
    "Token",
    "Unauthenticated",
    "anonymous",
    "check_token_name",
    "decide",
    "parse_prefix",
    "parse_rules",
    "read_rules",
]
