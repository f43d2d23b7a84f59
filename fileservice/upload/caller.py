"""Caller: on whose behalf an upload is made."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fileservice.names import FileName
from fileservice.request_record import NO_REQUEST, RequestIds, StageTimes
from fileservice.storage import StoredFile
from fileservice.upload.errors import PreconditionNotMet
from fileservice.upload.quota import UNLIMITED, QuotaAccount


def _allow_all(_name: FileName | None) -> None:
    """Allow everything, where there is no access control."""


def _deny_replacement(_name: FileName | None) -> None:
    raise PreconditionNotMet("files cannot be replaced by this upload")


def _see_all(_name: FileName) -> bool:
    """Show everything, where there is no access control."""
    return True


def _report_nothing(_file: StoredFile, _is_replacement: bool) -> None:
    """Say nothing, where there is no audit log."""


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
    authorize_replacement: Callable[[FileName | None], None] = _deny_replacement
    """The same for a file that replaces the one with this name; None for a name not known yet."""
    may_see: Callable[[FileName], bool] = _see_all
    """Returns whether the principal may find out what is stored under this name.

    Without it, an upload that repeats a stored file of another principal is refused like any other
    to a taken name: otherwise guesses of the content could be verified.
    """
    report_stored: Callable[[StoredFile, bool], None] = _report_nothing
    """Is called, in any thread, when a file was stored: whether it has replaced another."""
    stages: StageTimes = field(default_factory=StageTimes, compare=False)
    """Is given the seconds that the parts of the upload take."""
    ids: RequestIds = field(default=NO_REQUEST, compare=False)
    """Those of the request."""
    account: QuotaAccount = UNLIMITED
    """The account whose quota the upload is counted against."""


def may_see(caller: Caller, stored: StoredFile) -> bool:
    """Return whether the caller may find out about this file: its own, and those it may see.

    A guest has no files of its own, since all guests of a link are one caller, and none of them may
    find out what another one has sent.
    """
    owner = stored.owner
    is_own = owner is not None and bool(caller.owner) and owner.principal == caller.owner
    return is_own or caller.may_see(stored.name)


UNRESTRICTED = Caller(authorize_replacement=_allow_all)
"""The caller where there is no access control, such as in a program that uses this package."""
