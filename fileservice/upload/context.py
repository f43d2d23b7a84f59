"""The parts of the service that every upload works with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fileservice.events import NO_EVENTS, Events
from fileservice.executor import Executor
from fileservice.storage import Store, StoredFile
from fileservice.upload.free_space import FreeSpace
from fileservice.upload.policy import UploadPolicy
from fileservice.upload.staged_checks import StagedChecks


def _keep(_owner: str, _reservation: str, _may_have_been_published: bool) -> None:
    """Release nothing, where there are no quotas."""


def _count_nothing(_file: StoredFile) -> Callable[[StoredFile], None]:
    """Give nothing back, where there are no quotas."""
    return lambda _removed: None


@dataclass(frozen=True, slots=True)
class UploadContext:
    """Where uploads are stored, what is accepted, and where blocking work runs."""

    store: Store
    policy: UploadPolicy
    executor: Executor
    release_reservation: Callable[[str, str, bool], None] = _keep
    """Releases what was reserved for an upload, given its owner, the name of the reservation, and
    whether a file may have been published, which is then gone.

    It is called for uploads that are removed, on whoever's behalf. It blocks, and raises nothing.
    """
    begin_removal: Callable[[StoredFile], Callable[[StoredFile], None]] = _count_nothing
    """Returns what gives the bytes of a file back to the quota of its owner once it is gone.

    It is called before the file is replaced, or removed since it has expired. What it returns takes
    the file as it was then, and raises nothing. Both block.
    """
    staged_checks: StagedChecks | None = None
    """What every complete file has to pass before it is published; None for nothing."""
    events: Events = NO_EVENTS
    """Where it is reported that files are stored and removed."""
    free_space: FreeSpace = field(default_factory=FreeSpace, compare=False)
    """Whether there is space for one more file."""
