"""Caller: on whose behalf an upload is made."""

from collections.abc import Callable
from dataclasses import dataclass

from fileservice.names import FileName
from fileservice.upload.quota import UNLIMITED, QuotaAccount


def _allow_all(_name: FileName | None) -> None:
    """Allow everything, where there is no access control."""


def _see_all(_name: FileName) -> bool:
    """Show everything, where there is no access control."""
    return True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request of an upload."""

    owner: str = ""
    """Identifies the principal; an unfinished upload belongs to the one that created it."""
    client: str = ""
    """For whom unfinished uploads are counted: an owner, or an IP address; empty if unknown."""
    authorize: Callable[[FileName | None], None] = _allow_all
    """Raises an error if the principal may not, or no longer, store a file under this name.

    None stands for a partial upload, which has no name. It is called when an upload is admitted
    and again at the last moment before its file is published.
    """
    may_see: Callable[[FileName], bool] = _see_all
    """Returns whether the principal may find out what is stored under this name.

    Without it, an upload that repeats a stored file of another principal is refused like any other
    to a taken name: otherwise guesses of the content could be verified.
    """
    account: QuotaAccount = UNLIMITED
    """The account whose quota the upload is counted against."""


UNRESTRICTED = Caller()
"""The caller where there is no access control, such as in a program that uses this package."""
