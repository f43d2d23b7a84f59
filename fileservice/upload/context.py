"""The parts of the service that every upload works with."""

from dataclasses import dataclass

from fileservice.executor import Executor
from fileservice.storage import Store
from fileservice.upload.policy import UploadPolicy


@dataclass(frozen=True, slots=True)
class UploadContext:
    """Where uploads are stored, what is accepted, and where blocking work runs."""

    store: Store
    policy: UploadPolicy
    executor: Executor
