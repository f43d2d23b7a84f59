"""Usage counters: how much one principal has stored and reserved, and what it may store.

A counter is changed in one atomic step of the store, and every change is a function of the counter
alone. What is stored later is reserved before its bytes are received. So the sum of what is stored
and what is reserved is never less than what the principal's files have, whenever a process dies:

    reserve     before the body; refused if the sum would exceed the quota
    hold        while bytes arrive: the reservation grows, and is renewed
    commit      once the file is visible: its size takes the place of the reservation
    release     once it is certain that no file becomes visible
    withdraw    once it is certain that no file is visible any more

An upload that replaces a file of the same owner reserves the difference. Once that file is gone, by
whichever request, the reservation grows by what the file had, in the same step in which the file is
given back. So nobody else gets its bytes before the upload has ended. At most one reservation
counts less because of one file.

A reservation that is not renewed lapses. It still counts, because its process may have published
the file before it died. The next recount sees whether there is a file, and drops the reservation.

A recount lists the files, while files come and go. The name of a reservation is kept with its file
and begins with the generation of the counter. A recount begins a new generation. It leaves out the
files of that generation, and those whose reservations it found, and takes what was committed and
deleted of them from the counter. Of the other files none is committed any more. If one is deleted
while a recount runs, the recount may have counted it before. If a recount has begun or ended
between a deletion and the change of the counter, it may or may not have counted the file. In both
cases the result is at most too high, and another recount follows.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from fileservice.access.amounts import LEASE, Amount, Recount, ReplacedFile, Reserved, key_of_file
from fileservice.access.errors import QuotaExceeded
from fileservice.access.principals import Quota

_RECOUNT_LEASE = 60.0
"""A recount that has not been renewed for so many seconds was ended by the death of its process."""
_KEPT = 7200.0
"""For so many seconds a recount keeps the reservation of an upload that it finds unfinished."""
_AHEAD_DIVISOR = 8
"""At most one byte in so many that are available is reserved ahead: it may not be used."""


@dataclass(frozen=True, slots=True)
class UsageCounter:
    """What one owner has stored and reserved. Every change makes a new counter."""

    owner: str
    stored: Amount = field(default_factory=Amount)
    reservations: Mapping[str, Reserved] = field(default_factory=dict)
    generation: str = ""
    counted: float | None = None
    """When the last complete recount began; None if the files were never counted."""
    exact: bool = True
    """Whether nothing is known that makes `stored` too high."""
    recount: Recount | None = None

    @property
    def basis(self) -> tuple[str, bool]:
        """What changes whenever a recount begins or ends."""
        return self.generation, self.recount is not None

    @property
    def total(self) -> Amount:
        """What counts against the quota."""
        total = Amount(max(0, self.stored.bytes), max(0, self.stored.files))
        for reserved in self.reservations.values():
            total += reserved.net
        return total

    def new_reservation(self) -> str:
        """Return a name for a reservation, to be made by `hold`."""
        return f"{self.generation}.{secrets.token_hex(8)}"

    def reserved_by(self, names: Collection[str]) -> int:
        """Return how many bytes these reservations have, as far as they exist."""
        return sum(self.reservations[n].amount.bytes for n in names if n in self.reservations)

    def hold(
        self,
        quota: Quota,
        name: str,
        amount: Amount,
        now: float,
        seconds: float = LEASE,
        *,
        ahead: int = 0,
        again: bool = False,
        replaces: ReplacedFile | None = None,
    ) -> Self:
        """Return the counter in which a reservation has at least `amount`, and is renewed.

        A reservation that has lapsed and was dropped is made again. `ahead` is how many bytes more
        it may get. One that has so much already is not refused, unless the quota is to be looked at
        `again`. A new reservation counts less by the file that it `replaces`, which was found to
        exist. Raise QuotaExceeded.
        """
        held = self.reservations.get(name)
        if not held:
            held = Reserved(Amount(), 0.0, self._unclaimed(name, replaces))
        if again or amount.exceeds(held.amount):
            others, needed = self.total - held.net, held.net_of(amount)
            _require(quota, others, needed)
            if quota.bytes is not None:
                available = quota.bytes - others.bytes - needed.bytes
                ahead = min(ahead, max(0, available) // _AHEAD_DIVISOR)
            amount += Amount(ahead)
        amount = Amount(max(amount.bytes, held.amount.bytes), max(amount.files, held.amount.files))
        return self._with(
            name, replace(held, amount=amount, expires=max(held.expires, now + seconds))
        )

    def replacing(self, name: str, replaces: ReplacedFile | None) -> Self:
        """Return the counter in which a reservation counts less by this file, and by no other.

        The file was found to exist. It must be looked at again afterwards: if it was deleted just
        before, the reservation counts too little.
        """
        held = self.reservations.get(name)
        if not held:
            return self
        return self._with(name, replace(held, replaces=self._unclaimed(name, replaces)))

    def net_of(self, name: str) -> Amount:
        """Return what a reservation counts; nothing if there is none with this name."""
        held = self.reservations.get(name)
        return held.net if held else Amount()

    def commit(self, name: str, size: int) -> Self:
        """Return the counter after a file of `size` bytes was stored under a reservation."""
        held = self.reservations.get(name)
        if held and held.amount == Amount():  # the file was deleted already
            return self._without(name)
        amount, recount = Amount(size, 1), self.recount
        # If the reservation was dropped, a recount may have counted the file.
        certain = name in self.reservations and (not recount or recount.leaves_out(name))
        if recount:
            recount = replace(
                recount, changed=recount.changed + amount, exact=recount.exact and certain
            )
        return replace(
            self._without(name),
            stored=self.stored + amount,
            exact=self.exact and certain,
            recount=recount,
        )

    def release(self, name: str) -> Self:
        """Return the counter without this reservation, of which there is no file."""
        return self._without(name)._without_file(name)

    def withdraw(self, name: str, now: float) -> Self:
        """Return the counter after an upload was removed whose file may have been published.

        If there was a file, it was deleted or replaced, and may have yet to be given back. So the
        reservation stays with nothing until it lapses (see `delete`). Those that have are dropped.
        """
        if name not in self.reservations:
            return self
        kept = {
            other: held
            for other, held in self.reservations.items()
            if held.amount != Amount() or held.expires > now
        }
        spent = Reserved(Amount(), now + LEASE)
        return replace(self, reservations={**kept, name: spent})._without_file(name)

    def _without(self, name: str) -> Self:
        kept = {other: held for other, held in self.reservations.items() if other != name}
        return replace(self, reservations=kept)

    def delete(self, name: str, size: int, basis: tuple[str, bool], file_name: str = "") -> Self:
        """Return the counter after a file was deleted that was stored under a reservation.

        `basis` is that of the counter before the file was deleted. A file that has its reservation
        still was not committed: its process has died, or is slower than the one that deletes or
        replaces the file. What is reserved is given back. The reservation itself stays with nothing
        until it is committed, which then counts nothing, or is released or lapses.
        """
        return self._subtract(name, size, basis)._without_file(key_of_file(name, file_name))

    def _subtract(self, name: str, size: int, basis: tuple[str, bool]) -> Self:
        amount, recount = Amount(size, 1), self.recount
        if basis != self.basis:
            recount = recount and replace(recount, exact=False)
            return replace(self, exact=False, recount=recount)
        is_committed = name not in self.reservations
        if recount and recount.leaves_out(name):
            if is_committed:
                recount = replace(recount, changed=recount.changed - amount)
        elif recount:
            recount = replace(recount, exact=False)
        if is_committed:
            return replace(self, stored=self.stored - amount, recount=recount)
        spent = replace(self.reservations[name], amount=Amount(), replaces=None)
        return replace(self._with(name, spent), recount=recount)

    def _without_file(self, key: str) -> Self:
        """Return the counter in which no reservation counts less because of this file."""
        for name, held in self.reservations.items():
            if held.replaces and held.replaces.key == key:
                return self._with(name, replace(held, replaces=None))
        return self

    def _unclaimed(self, name: str, replaces: ReplacedFile | None) -> ReplacedFile | None:
        """Return the file, unless a reservation other than this one counts less because of it."""
        others = (held.replaces for other, held in self.reservations.items() if other != name)
        is_claimed = any(other and replaces and other.key == replaces.key for other in others)
        return None if is_claimed else replaces

    def _with(self, name: str, reserved: Reserved) -> Self:
        return replace(self, reservations={**self.reservations, name: reserved})

    def opened(self, now: float) -> Self:
        """Return the counter of an owner who has stored nothing so far."""
        if self.counted is not None or self.recount:
            return self
        return replace(self, generation=secrets.token_hex(8), counted=now)

    def begin_recount(self, now: float) -> Self | None:
        """Return the counter in which a recount has begun, or None while another one runs."""
        if self.recount and now < self.recount.renewed + _RECOUNT_LEASE:
            return None
        generation = secrets.token_hex(8)
        spared = frozenset(n for n, held in self.reservations.items() if held.expires > now)
        replaced = frozenset(h.replaces.key for h in self.reservations.values() if h.replaces)
        recount = Recount(generation, now, now, spared, replaced=replaced)
        return replace(self, generation=generation, recount=recount)

    def renew_recount(self, generation: str, now: float) -> Self | None:
        """Return the counter in which this recount is renewed; None if it was replaced."""
        if not self.recount or self.recount.generation != generation:
            return None
        return replace(self, recount=replace(self.recount, renewed=now))

    def finish_recount(
        self,
        generation: str,
        counted: Amount,
        unfinished: Mapping[str, Amount],
        now: float,
        *,
        found: Collection[str] = (),
    ) -> Self | None:
        """Return the counter with the result of a recount; None if it was replaced by another.

        `unfinished` are the reservations of the uploads that were unfinished when it had begun.
        `found` are the keys of files to be replaced that it has seen (see `key_of_file`). One that
        it has not seen may have been replaced by a process that died before it counted that.
        """
        recount = self.recount
        if not recount or recount.generation != generation:
            return None
        reservations = {}
        for name, held in self.reservations.items():
            expires = held.expires
            if name in unfinished:
                expires = max(expires, now + _KEPT)
            elif expires <= recount.began:
                continue  # its process is dead, and its file was counted if there is one
            elif name in recount.spared:
                expires = min(expires, now + LEASE)  # the upload is ending, or its process died
            replaces = held.replaces if held.replaces and held.replaces.key in found else None
            reservations[name] = replace(held, expires=expires, replaces=replaces)
        for name, amount in unfinished.items():
            if name not in reservations and not recount.leaves_out(name):
                reservations[name] = Reserved(amount, now + _KEPT)
        return replace(
            self,
            stored=counted + recount.changed,
            reservations=reservations,
            counted=recount.began,
            exact=recount.exact,
            recount=None,
        )

    def has_lapsed_reservations(self, now: float) -> bool:
        """Return whether reservations count that a recount would drop."""
        return any(
            held.expires <= now and held.amount != Amount() for held in self.reservations.values()
        )


def _require(quota: Quota, others: Amount, amount: Amount) -> None:
    """Raise QuotaExceeded if `amount` does not fit into the quota beside all others."""
    for resource, limit, used, needed in (
        ("bytes", quota.bytes, others.bytes, amount.bytes),
        ("files", quota.files, others.files, amount.files),
    ):
        if limit is not None and needed and used + needed > limit:
            raise QuotaExceeded(resource, limit=limit, used=used)
