"""Guests: what uploads by a link count against."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fileservice.access import AccessRules, GuestAccount, Principal, Quota, QuotaAccounts
from fileservice.web.link_credentials import link_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NOTHING = Quota(0, 0)


def account_of_guest(
    environ: "WSGIEnvironment",
    guest: Principal,
    accounts: QuotaAccounts,
    rules: Callable[[], AccessRules],
) -> GuestAccount:
    """Return the account of who uploads by a link: the files belong to the maker of the link.

    The request has passed the door, and `rules` returns the rules as they are now.
    """

    def guest_quota() -> Quota:
        upload = link_of(environ).upload
        return upload.quota if upload else _NOTHING

    def owner_quota() -> Quota:
        maker = link_of(environ).maker.principal(rules())
        return maker.quota if maker else _NOTHING

    return GuestAccount(
        accounts.account(guest.id, guest_quota, guest.prefix),
        accounts.account(link_of(environ).maker.id, owner_quota),
    )
