"""Reservations: what one upload takes of the quota of its principal, from its begin to its end."""

import logging
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

from fileservice.access.amounts import Amount, ReplacedFile, key_of_file
from fileservice.access.errors import UsageUnknown
from fileservice.access.principals import UNLIMITED, Quota
from fileservice.access.quotas import UsageCounter
from fileservice.storage import Owner, StorageError, StoredFile, describe_error

_log = logging.getLogger(__name__)
_RENEWAL = 0.4
"""A reservation is renewed after so much of the time for which it is valid."""
_PUBLICATION_SECONDS = 150.0
"""For so long a reservation must be valid when the publication of its file begins."""

ChangeCounter = Callable[[UsageCounter], UsageCounter]


class _Accounts(Protocol):
    def change(self, owner: str, function: ChangeCounter, *, create: bool = False) -> None: ...

    def change_counted(self, owner: str, function: ChangeCounter, prefix: str = "") -> None: ...


class _Account(Protocol):
    @property
    def accounts(self) -> _Accounts: ...

    @property
    def owner(self) -> str: ...

    @property
    def quota(self) -> Callable[[], Quota]: ...

    @property
    def prefix(self) -> str: ...


class QuotaReservation:
    """What is reserved for one upload; nothing while its principal has no quota.

    See `upload.quota.QuotaReservation`.
    """

    def __init__(
        self,
        account: _Account,
        name: str,
        files: int,
        seconds: float,
        covered_by: Collection[str] = (),
        replaces: StoredFile | None = None,
    ) -> None:
        self.name = name
        self._account = account
        self._files = files
        self._seconds = seconds
        self._covered_by = covered_by
        self._replaces = self._replaced_file(replaces)
        self._covered = 0
        """How many bytes other reservations have for the file."""
        self._quota = account.quota()
        self._granted = 0
        self._renewed = 0.0
        self._is_ended = False

    @property
    def owner(self) -> Owner | None:
        return Owner(self._account.owner, self.name) if self._account.owner else None

    def begin(self, size: int) -> None:
        """Reserve `size` bytes, or take up the reservation that has the name already.

        This waits for recounts (see `QuotaAccounts.change_counted`). Raise QuotaExceeded,
        UsageUnknown.
        """
        if self._quota != UNLIMITED:
            change = self._account.accounts.change_counted
            self._reserve(partial(change, prefix=self._account.prefix), size)

    def hold(self, size: int, *, ahead: int = 0) -> None:
        if not self.name or self._quota == UNLIMITED:
            return
        if size > self._granted or self._age() > self._seconds * _RENEWAL:
            self._reserve(self._change, size, ahead=ahead)

    def recheck(self, size: int, replaces: StoredFile | None = None) -> None:
        previous, self._quota = self._quota, self._account.quota()
        if self._quota == UNLIMITED:
            return
        is_valid = bool(self.name) and self._seconds - self._age() >= _PUBLICATION_SECONDS
        if replaces:
            self._replaces = self._replaced_file(replaces)
        if size > self._granted or not is_valid or self._quota != previous or replaces:
            again = self._quota != previous
            self._reserve(self._change, size, again=again, is_replacing=bool(replaces))

    def commit(self, size: int) -> None:
        # What is stored without a quota counts if the owner had one before, and may have it again.
        if self._account.owner:
            self._end(lambda counter: counter.commit(self.name, size))

    def release(self) -> None:
        if self.name:
            self._end(lambda counter: counter.release(self.name))

    def abandon(self) -> None:
        self._is_ended = True

    def _reserve(
        self,
        change: Callable[[str, ChangeCounter], None],
        size: int,
        *,
        ahead: int = 0,
        again: bool = False,
        is_replacing: bool = False,
    ) -> None:
        name, granted = self.name, 0

        def reserve(counter: UsageCounter) -> UsageCounter:
            nonlocal name, granted
            if not self.name:
                if counter.counted is None:
                    raise UsageUnknown
                name = counter.new_reservation()
            if name not in counter.reservations:
                self._covered = counter.reserved_by(self._covered_by)
            before = counter.net_of(name)
            if is_replacing:
                counter = counter.replacing(name, self._replaces)
            changed = counter.hold(
                self._quota,
                name,
                Amount(max(0, size - self._covered), self._files),
                time.time(),
                self._seconds,
                ahead=ahead,
                again=again or counter.net_of(name).exceeds(before),
                replaces=self._replaces,
            )
            granted = changed.reservations[name].amount.bytes + self._covered
            return changed

        change(self._account.owner, reserve)
        self.name, self._granted, self._renewed = name, granted, time.monotonic()

    def _change(self, owner: str, function: ChangeCounter) -> None:
        self._account.accounts.change(owner, function, create=True)

    def _replaced_file(self, file: StoredFile | None) -> ReplacedFile | None:
        """Return the file if it counts in this account."""
        if file and file.owner:
            for owner, reservation in file.owner.accounts:
                if owner == self._account.owner:
                    return ReplacedFile(key_of_file(reservation, file.name), file.size)
        return None

    def _age(self) -> float:
        return time.monotonic() - self._renewed

    def _end(self, function: ChangeCounter) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        try:
            self._account.accounts.change(self._account.owner, function)
        except StorageError as error:
            _log.warning("an upload that ended is not counted yet: %s", describe_error(error))
