"""What uploads ask of the quotas of their principals, which another package counts."""

from collections.abc import Collection
from typing import Protocol

from fileservice.storage import Owner, StoredFile

MAX_AHEAD = 8 << 20
"""How many bytes are reserved at most beyond those of a file of unknown length that arrived."""


class QuotaReservation(Protocol):
    """What is reserved for one upload: a number of bytes, and one file or none.

    It lasts for some time after it was last held, so that it ends if its process dies. Every call
    may block. An error of the quota passes through uploads unchanged.
    """

    @property
    def name(self) -> str:
        """By which it can be resumed in another process; empty if nothing is reserved."""

    @property
    def owner(self) -> Owner | None:
        """What is kept with the file."""

    def hold(self, size: int, *, ahead: int = 0) -> None:
        """See that there are `size` bytes, and perhaps up to `ahead` more. Raise if not."""

    def recheck(self, size: int, replaces: StoredFile | None = None) -> None:
        """See, by the quota of this moment, that a file of `size` bytes may be published now.

        If it `replaces` another one of the same owner, only the difference counts. That file must
        be looked at again before it is replaced, see `QuotaAccount.reserve`.
        """

    def commit(self, size: int) -> None:
        """Count the file, which was published. Raise nothing."""

    def release(self) -> None:
        """Give up what is reserved, if the file was not published. Raise nothing."""

    def abandon(self) -> None:
        """Let it lapse, as it is unknown whether the file was published. Raise nothing."""


class QuotaAccount(Protocol):
    """What one principal may store."""

    def reserve(
        self,
        size: int,
        *,
        name: str = "",
        files: int = 1,
        seconds: float = ...,
        covered_by: Collection[str] = (),
        replaces: StoredFile | None = None,
    ) -> QuotaReservation:
        """Reserve `size` bytes, or resume the reservation with this name. Raise if they are none.

        The reservation lasts for `seconds` unless it is held again. The bytes that the reservations
        `covered_by` have need not be reserved again; those must stay until the file is counted.
        If the upload `replaces` a file of the same owner, the difference is reserved, unless
        another upload that is to replace this file has reserved it so. If the file is removed from
        then on, by whomever, the upload gets its bytes.
        This may wait, so it must not be called in a thread of the executor.
        """


class _Unlimited:
    """The account of a principal without a quota, and all of its reservations."""

    name = ""
    owner = None

    def reserve(self, size: int, **_options: object) -> QuotaReservation:  # noqa: ARG002
        return self

    def hold(self, size: int, *, ahead: int = 0) -> None:
        pass

    def recheck(self, size: int, replaces: StoredFile | None = None) -> None:
        pass

    def commit(self, size: int) -> None:
        pass

    def release(self) -> None:
        pass

    def abandon(self) -> None:
        pass


UNLIMITED = _Unlimited()
