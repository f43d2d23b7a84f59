"""The parts of the service that every upload works with."""

from collections.abc import Callable
from dataclasses import dataclass

from fileservice.executor import Executor
from fileservice.storage import Store, StoredFile
from fileservice.upload.policy import UploadPolicy


def _keep(_owner: str, _reservation: str) -> None:
    """Release nothing, where there are no quotas."""


def _delete(_file: StoredFile, delete: Callable[[], StoredFile]) -> None:
    """Delete a file that is not counted, where there are no quotas."""
    delete()


@dataclass(frozen=True, slots=True)
class UploadContext:
    """Where uploads are stored, what is accepted, and where blocking work runs."""

    store: Store
    policy: UploadPolicy
    executor: Executor
    release_reservation: Callable[[str, str], None] = _keep
    """Releases what was reserved for an upload, given its owner and the name of the reservation.

    It is called for uploads that are removed, on whoever's behalf. It blocks, and raises nothing.
    """
    delete_counted: Callable[[StoredFile, Callable[[], StoredFile]], None] = _delete
    """Deletes a file by the function that is given, and gives its bytes back to its owner.

    The function returns the file as it was, and what it raises passes through. It blocks.
    """
