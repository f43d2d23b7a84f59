"""Access: who may do what.

A request is made by a `Principal`, which has scopes. `AccessRules` find the principal of a secret,
and `AccessFile` reads them. A person who has signed in has a `Session`. Every route declares the
`Action` of its requests, and `decide` says whether the principal may perform it. `QuotaAccounts`
count what principals have stored, and the `LinkStore` has the links by which principals let
others do something. What other packages may use is exported here; the errors are
drawn as a tree in `fileservice.access.errors`.
"""

from fileservice.access.access_file import AccessFile, read_rules, read_text
from fileservice.access.accounts import QuotaAccount, QuotaAccounts, open_account
from fileservice.access.decide import decide, may_see
from fileservice.access.errors import (
    AccessError,
    AccessFileError,
    Forbidden,
    InvalidIdentity,
    InvalidTerms,
    LinkGone,
    NoSuchLink,
    OwnerQuotaExceeded,
    PasswordNeeded,
    QuotaExceeded,
    TooManyFailures,
    TooManyLinks,
    TooManyRequests,
    TooManyUploads,
    Unauthenticated,
    UnusableClaims,
    UsageUnknown,
)
from fileservice.access.guest_accounts import GuestAccount
from fileservice.access.identity import Identity
from fileservice.access.limits import ByteMeter, FailureLimiter, Limit, RateLimit
from fileservice.access.link_downloads import (
    LinkTransfer,
    begin_transfer,
    end_of_transfer,
    uses_left,
)
from fileservice.access.link_proofs import is_proof, proof_of
from fileservice.access.link_store import LinkStore
from fileservice.access.link_terms import LinkTerms
from fileservice.access.link_uses import Outcome, Use, count_taken
from fileservice.access.links import DownloadGrant, Link, Maker, MakerKind, UploadGrant
from fileservice.access.openid import Authorization, person_of
from fileservice.access.passwords import hash_password, is_password
from fileservice.access.principals import UNLIMITED, Principal, PrincipalKind, Quota, anonymous
from fileservice.access.recounts import RecountIntervals
from fileservice.access.redis_counters import RedisCounters
from fileservice.access.rules import AccessRules, Grant, Token
from fileservice.access.rules_parser import check_token_name, parse_prefix, parse_rules
from fileservice.access.scopes import Action, Scope
from fileservice.access.secret_key import SecretKey
from fileservice.access.service_limits import Limits, open_limits, share_memory
from fileservice.access.session_store import SessionStore
from fileservice.access.sessions import Session
from fileservice.access.signing import serializer

__all__ = [
    "UNLIMITED",
    "AccessError",
    "AccessFile",
    "AccessFileError",
    "AccessRules",
    "Action",
    "Authorization",
    "ByteMeter",
    "DownloadGrant",
    "FailureLimiter",
    "Forbidden",
    "Grant",
    "GuestAccount",
    "Identity",
    "InvalidIdentity",
    "InvalidTerms",
    "Limit",
    "Limits",
    "Link",
    "LinkGone",
    "LinkStore",
    "LinkTerms",
    "LinkTransfer",
    "Maker",
    "MakerKind",
    "NoSuchLink",
    "Outcome",
    "OwnerQuotaExceeded",
    "PasswordNeeded",
    "Principal",
    "PrincipalKind",
    "Quota",
    "QuotaAccount",
    "QuotaAccounts",
    "QuotaExceeded",
    "RateLimit",
    "RecountIntervals",
    "RedisCounters",
    "Scope",
    "SecretKey",
    "Session",
    "SessionStore",
    "Token",
    "TooManyFailures",
    "TooManyLinks",
    "TooManyRequests",
    "TooManyUploads",
    "Unauthenticated",
    "UnusableClaims",
    "UploadGrant",
    "UsageUnknown",
    "Use",
    "anonymous",
    "begin_transfer",
    "check_token_name",
    "count_taken",
    "decide",
    "end_of_transfer",
    "hash_password",
    "is_password",
    "is_proof",
    "may_see",
    "open_account",
    "open_limits",
    "parse_prefix",
    "parse_rules",
    "person_of",
    "proof_of",
    "read_rules",
    "read_text",
    "serializer",
    "share_memory",
    "uses_left",
]
