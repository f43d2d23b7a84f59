"""Guests' accounts: what a guest uploads counts for the guest and for the owner of the file.

Both amounts are reserved before the body, so that each limit holds in sum over all requests,
processes and machines.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from fileservice.access.accounts import QuotaAccount
from fileservice.access.amounts import LEASE
from fileservice.access.errors import OwnerQuotaExceeded, QuotaExceeded
from fileservice.access.reservations import QuotaReservation
from fileservice.storage import Owner, StoredFile


class GuestAccount:
    """What a guest may store on behalf of somebody else; see `upload.quota.QuotaAccount`."""

    def __init__(self, guest: QuotaAccount, owner: QuotaAccount) -> None:
        self._guest = guest
        self._owner = owner

    def reserve(
        self,
        size: int,
        *,
        name: str = "",
        files: int = 1,
        seconds: float = LEASE,
        covered_by: Collection[str] = (),
        replaces: StoredFile | None = None,
    ) -> "GuestReservation":
        resumed = Owner.of_upload(self._guest.owner, name) if name else Owner("")
        covering = [Owner.of_upload(self._guest.owner, each) for each in covered_by]
        guest = self._guest.reserve(
            size,
            name=resumed.guest_reservation,
            files=files,
            seconds=seconds,
            covered_by=[each.guest_reservation for each in covering],
            replaces=replaces,
        )
        try:
            with _owner_kept_secret():
                owner = self._owner.reserve(
                    size,
                    name=resumed.reservation,
                    files=files,
                    seconds=seconds,
                    covered_by=[each.reservation for each in covering],
                    replaces=replaces,
                )
        except BaseException:
            if not name:
                guest.release()
            raise
        return GuestReservation(guest, owner, self._guest.owner, self._owner.owner)


class GuestReservation:
    """What is reserved for one upload in both accounts; see `upload.quota.QuotaReservation`."""

    def __init__(
        self, guest: QuotaReservation, owner: QuotaReservation, guest_id: str, owner_id: str
    ) -> None:
        self._guest = guest
        self._owner = owner
        self._guest_id = guest_id
        self._owner_id = owner_id

    @property
    def owner(self) -> Owner:
        return Owner(self._owner_id, self._owner.name, self._guest_id, self._guest.name)

    @property
    def name(self) -> str:
        return self.owner.reservation_name

    def hold(self, size: int, *, ahead: int = 0) -> None:
        self._guest.hold(size, ahead=ahead)
        with _owner_kept_secret():
            self._owner.hold(size, ahead=ahead)

    def recheck(self, size: int, replaces: StoredFile | None = None) -> None:
        self._guest.recheck(size, replaces)
        with _owner_kept_secret():
            self._owner.recheck(size, replaces)

    def commit(self, size: int) -> None:
        self._guest.commit(size)
        self._owner.commit(size)

    def release(self) -> None:
        self._guest.release()
        self._owner.release()

    def abandon(self) -> None:
        self._guest.abandon()
        self._owner.abandon()


@contextmanager
def _owner_kept_secret() -> Iterator[None]:
    """Do not tell a guest how much the owner has stored, nor how much it may store."""
    try:
        yield
    except QuotaExceeded:
        raise OwnerQuotaExceeded from None
