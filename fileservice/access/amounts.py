"""What a usage counter consists of: amounts, reservations, and a recount that has begun."""

from dataclasses import dataclass

LEASE = 300.0
"""For so many seconds a reservation is valid unless it is renewed."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of files, and the bytes that they have together."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.bytes + other.bytes, self.files + other.files)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.bytes - other.bytes, self.files - other.files)

    def exceeds(self, other: "Amount") -> bool:
        """Return whether there are more bytes or more files than in the other amount."""
        return self.bytes > other.bytes or self.files > other.files


@dataclass(frozen=True, slots=True)
class ReplacedFile:
    """A file of the same owner that an upload is to replace, and that is counted itself."""

    key: str
    """See `key_of_file`."""
    size: int
    """Bytes."""


def key_of_file(reservation: str, name: str) -> str:
    """Return what identifies one file of an owner: its reservation, or its name if it has none."""
    return reservation or f"/{name}"


@dataclass(frozen=True, slots=True)
class Reserved:
    """One reservation, which lapses at a time in seconds since the Unix epoch."""

    amount: Amount
    """What the file will have."""
    expires: float
    replaces: ReplacedFile | None = None
    """The file that goes when the new one is published, as long as it exists."""

    def net_of(self, amount: Amount) -> Amount:
        """Return what counts of an amount, beside the file that will be replaced."""
        if not self.replaces:
            return amount
        return Amount(max(0, amount.bytes - self.replaces.size), max(0, amount.files - 1))

    @property
    def net(self) -> Amount:
        """What the reservation counts."""
        return self.net_of(self.amount)


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
    replaced: frozenset[str] = frozenset()
    """The keys of the files that uploads were to replace when it began (see `key_of_file`)."""

    def leaves_out(self, reservation: str) -> bool:
        """Return whether files stored under this reservation are not to be counted."""
        return generation_of(reservation) == self.generation or reservation in self.spared


def generation_of(reservation: str) -> str:
    """Return the generation of the counter in which a reservation was made."""
    return reservation.partition(".")[0]
