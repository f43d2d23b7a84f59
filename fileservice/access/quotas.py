"""Usage counters: how much one principal has stored and reserved, and what it may store.

A counter is changed in one atomic step of the store, and every change is a function of the counter
alone. What is stored later is reserved before its bytes are received. So the sum of what is stored
and what is reserved is never less than what the principal's files have, whenever a process dies:

    reserve     before the body; refused if the sum would exceed the quota
    hold        while bytes arrive: the reservation grows, and is renewed
    commit      once the file is visible: its size takes the place of the reservation
    release     once it is certain that no file becomes visible

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

from fileservice.access.errors import QuotaExceeded
from fileservice.access.principals import Quota

LEASE = 300.0
"""For so many seconds a reservation is valid unless it is renewed."""
_RECOUNT_LEASE = 60.0
"""A recount that has not been renewed for so many seconds was ended by the death of its process."""
_KEPT = 7200.0
"""For so many seconds a recount keeps the reservation of an upload that it finds unfinished."""
_AHEAD_DIVISOR = 8
"""At most one byte in so many that are available is reserved ahead: it may not be used."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of files, and the bytes that they have together."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.bytes + other.bytes, self.files + other.files)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.bytes - other.bytes, self.files - other.files)


@dataclass(frozen=True, slots=True)
class Reserved:
    """One reservation, which lapses at a time in seconds since the Unix epoch."""

    amount: Amount
    expires: float


@dataclass(frozen=True, slots=True)
class Recount:
    """A recount that has begun."""

    generation: str
    began: float
    renewed: float
    spared: frozenset[str]
    """The reservations of which no file is counted: their files may appear at any moment."""
    changed: Amount = Amount()
    """What was stored since it began, and deleted of that."""
    exact: bool = True

    def leaves_out(self, reservation: str) -> bool:
        """Return whether files stored under this reservation are not to be counted."""
        return generation_of(reservation) == self.generation or reservation in self.spared


@dataclass(frozen=True, slots=True)
class UsageCounter:
    """What one owner has stored and reserved. Every change makes a new counter."""

    owner: str
    stored: Amount = Amount()
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
            total += reserved.amount
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
    ) -> Self:
        """Return the counter in which a reservation has at least `amount`, and is renewed.

        A reservation that has lapsed and was dropped is made again. `ahead` is how many bytes more
        it may get. One that has so much already is not refused, unless the quota is to be looked at
        `again`. Raise QuotaExceeded.
        """
        held = self.reservations.get(name, Reserved(Amount(), 0.0))
        if again or _exceeds(amount, held.amount):
            others = self.total - held.amount
            _require(quota, others, amount)
            if quota.bytes is not None:
                available = quota.bytes - others.bytes - amount.bytes
                ahead = min(ahead, available // _AHEAD_DIVISOR)
            amount += Amount(ahead)
        reserved = Reserved(
            Amount(max(amount.bytes, held.amount.bytes), max(amount.files, held.amount.files)),
            max(held.expires, now + seconds),
        )
        return replace(self, reservations={**self.reservations, name: reserved})

    def commit(self, name: str, size: int) -> Self:
        """Return the counter after a file of `size` bytes was stored under a reservation."""
        amount, recount = Amount(size, 1), self.recount
        # If the reservation was dropped, a recount may have counted the file.
        certain = name in self.reservations and (not recount or recount.leaves_out(name))
        if recount:
            recount = replace(
                recount, changed=recount.changed + amount, exact=recount.exact and certain
            )
        return replace(
            self.release(name),
            stored=self.stored + amount,
            exact=self.exact and certain,
            recount=recount,
        )

    def release(self, name: str) -> Self:
        """Return the counter without this reservation."""
        kept = {other: held for other, held in self.reservations.items() if other != name}
        return replace(self, reservations=kept)

    def delete(self, name: str, size: int, basis: tuple[str, bool]) -> Self:
        """Return the counter after a file was deleted that was stored under a reservation.

        `basis` is that of the counter before the file was deleted. A file that has its reservation
        still was never committed, as its process has died or is about to do so. It is given back
        with the reservation: that may be released later, when there is no file for it any more.
        """
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
        return replace(self.release(name), recount=recount)

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
        recount = Recount(generation, now, now, spared)
        return replace(self, generation=generation, recount=recount)

    def renew_recount(self, generation: str, now: float) -> Self | None:
        """Return the counter in which this recount is renewed; None if it was replaced."""
        if not self.recount or self.recount.generation != generation:
            return None
        return replace(self, recount=replace(self.recount, renewed=now))

    def finish_recount(
        self, generation: str, counted: Amount, unfinished: Mapping[str, Amount], now: float
    ) -> Self | None:
        """Return the counter with the result of a recount; None if it was replaced by another.

        `unfinished` are the reservations of the uploads that were unfinished when it had begun.
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
            reservations[name] = replace(held, expires=expires)
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
        return any(held.expires <= now for held in self.reservations.values())


def generation_of(reservation: str) -> str:
    """Return the generation of the counter in which a reservation was made."""
    return reservation.partition(".")[0]


def _exceeds(amount: Amount, other: Amount) -> bool:
    return amount.bytes > other.bytes or amount.files > other.files


def _require(quota: Quota, others: Amount, amount: Amount) -> None:
    """Raise QuotaExceeded if `amount` does not fit into the quota beside all others."""
    for resource, limit, used, needed in (
        ("bytes", quota.bytes, others.bytes, amount.bytes),
        ("files", quota.files, others.files, amount.files),
    ):
        if limit is not None and needed and used + needed > limit:
            raise QuotaExceeded(resource, limit=limit, used=used)
