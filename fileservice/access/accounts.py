"""Accounts: the quotas of principals, counted in the store for all processes that share it."""

import logging
import time
from collections.abc import Callable, Collection
from functools import partial

from fileservice.access.amounts import LEASE, Amount
from fileservice.access.counter_records import counter_of, to_bytes
from fileservice.access.errors import QuotaExceeded, UsageUnknown
from fileservice.access.principals import Quota
from fileservice.access.quotas import UsageCounter
from fileservice.access.recounts import (
    LOCAL_INTERVALS,
    REMOTE_INTERVALS,
    Recounter,
    RecountIntervals,
    UnfinishedUploads,
)
from fileservice.access.reservations import QuotaReservation
from fileservice.executor import Executor
from fileservice.storage import (
    Owner,
    StorageError,
    Store,
    StoredFile,
    UsageRecords,
    describe_error,
)

_log = logging.getLogger(__name__)
_WAIT_SECONDS = 20.0
"""For so long a request waits for a recount."""
_POLL_SECONDS = 0.05
_UNKNOWN_BASIS = ("unknown", False)
"""Differs from that of every counter, whose generations are hexadecimal digits."""


class QuotaAccounts:
    """The accounts of all principals of a store, as one process knows them."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        unfinished_uploads: UnfinishedUploads,
        intervals: RecountIntervals | None = None,
    ) -> None:
        self._records = store.usage
        self._executor = executor
        intervals = intervals or (REMOTE_INTERVALS if store.remote else LOCAL_INTERVALS)
        self._recounter = Recounter(self._records, executor, unfinished_uploads, intervals)

    def account(self, owner: str, quota: Callable[[], Quota], prefix: str = "") -> "QuotaAccount":
        """Return the account of a principal. An empty `owner` owns none of the files it stores.

        `quota` returns the quota that the principal has now. All names of its files begin with
        `prefix`.
        """
        return QuotaAccount(self, owner, quota, prefix)

    def stored(self, owner: str) -> Amount | None:
        """Return what the files of a principal have; None if they were not counted. Blocks."""
        counter = counter_of(owner, self._records.read(owner))
        return None if counter.counted is None else counter.stored

    def release(self, uploader: str, reservation: str, may_have_been_published: bool) -> None:
        """Release what was reserved for an upload that was removed. Blocks. Raise nothing.

        `uploader` is whom the upload belonged to, see `storage.Owner.of_upload`. There is no file
        of the upload, or no longer.
        """
        release = _withdraw if may_have_been_published else _release
        for owner, name in Owner.of_upload(uploader, reservation).accounts:
            try:
                self.change(owner, partial(release, name))
            except StorageError as error:
                _log.warning("a reservation stays until it lapses: %s", describe_error(error))

    def delete(self, file: StoredFile, delete: Callable[[], StoredFile]) -> None:
        """Delete a file by `delete`, and give its bytes back to its owner. Blocks.

        `delete` returns the file as it was, which is `file` or an equal one. Raise what it raises.
        """
        give_back = self.begin_removal(file)
        give_back(delete())

    def begin_removal(self, file: StoredFile) -> Callable[[StoredFile], None]:
        """Return what gives the bytes of a file back to its owners once it is deleted or replaced.

        The returned function takes the file as it was when it was removed, and raises nothing. Both
        calls block.
        """
        before = {owner: self._basis(owner) for owner, _ in _accounts(file)}

        def give_back(removed: StoredFile) -> None:
            # If another owner's file had the same bytes and took the name meanwhile, it is unknown
            # whether a recount has counted that.
            is_same = removed.owner == file.owner
            for owner, reservation in _accounts(removed):
                basis = before[owner] if is_same else _UNKNOWN_BASIS
                try:
                    self.change(owner, partial(_delete, reservation, removed, basis))
                except StorageError as error:
                    detail = describe_error(error)
                    _log.warning("a file is counted until the next recount: %s", detail)

        return give_back

    def _basis(self, owner: str) -> tuple[str, bool]:
        return counter_of(owner, self._records.read(owner)).basis

    def change(
        self, owner: str, function: Callable[[UsageCounter], UsageCounter], *, create: bool = False
    ) -> None:
        """Change the counter of an owner. Blocks. Do nothing if there is none, unless `create`.

        What `function` raises passes through.
        """

        def change(record: bytes | None) -> bytes | None:
            if record is None and not create:
                return None
            counter = counter_of(owner, record)
            changed = function(counter)
            return None if changed == counter else to_bytes(changed)

        self._records.update(owner, change)

    def change_counted(
        self, owner: str, function: Callable[[UsageCounter], UsageCounter], prefix: str = ""
    ) -> None:
        """Change the counter of an owner whose files have been counted.

        All names of them begin with `prefix`.

        If they have not, or the change is refused and the counter may be too high, wait for a
        recount. This must be called where waiting holds up nothing else, and not in a thread of the
        executor. Raise what `function` raises, or UsageUnknown.
        """
        began, deadline = time.time(), time.monotonic() + _WAIT_SECONDS
        while True:
            counter = UsageCounter(owner)

            def change(current: UsageCounter) -> UsageCounter:
                nonlocal counter
                counter = current
                if current.counted is None:
                    raise UsageUnknown
                return function(current)

            try:
                self._executor.run_io(self.change, owner, change, create=True)
            except (UsageUnknown, QuotaExceeded):
                if time.monotonic() > deadline or not self._recounter.may_help(counter, began):
                    raise
            else:
                if self._recounter.is_due(counter):
                    self._recounter.begin(owner, prefix)
                return
            self._recounter.begin(owner, prefix)
            time.sleep(_POLL_SECONDS)


def open_account(records: UsageRecords, owner: str) -> None:
    """Begin to count for a new principal, which cannot have stored anything. Blocks."""
    records.update(owner, lambda record: to_bytes(counter_of(owner, record).opened(time.time())))


class QuotaAccount:
    """What one principal may store; see `upload.quota.QuotaAccount`."""

    def __init__(
        self, accounts: QuotaAccounts, owner: str, quota: Callable[[], Quota], prefix: str
    ) -> None:
        self.accounts = accounts
        self.owner = owner
        self.quota = quota
        self.prefix = prefix

    def reserve(
        self,
        size: int,
        *,
        name: str = "",
        files: int = 1,
        seconds: float = LEASE,
        covered_by: Collection[str] = (),
        replaces: StoredFile | None = None,
    ) -> "QuotaReservation":
        reservation = QuotaReservation(self, name, files, seconds, covered_by, replaces)
        reservation.begin(size)
        return reservation


def _accounts(file: StoredFile) -> tuple[tuple[str, str], ...]:
    return file.owner.accounts if file.owner else ()


def _delete(
    reservation: str, file: StoredFile, basis: tuple[str, bool], counter: UsageCounter
) -> UsageCounter:
    return counter.delete(reservation, file.size, basis, file.name)


def _release(reservation: str, counter: UsageCounter) -> UsageCounter:
    return counter.release(reservation)


def _withdraw(reservation: str, counter: UsageCounter) -> UsageCounter:
    return counter.withdraw(reservation, time.time())
