"""The parts of the service that every upload works with."""

from collections.abc import Callable
from dataclasses import dataclass

from fileservice.executor import Executor
from fileservice.storage import Store
from fileservice.upload.policy import UploadPolicy


def _keep(_owner: str, _reservation: str) -> None:
    """Release nothing, where there are no quotas."""


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
