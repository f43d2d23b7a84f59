"""Stores in a bucket of a real SeaweedFS, each with the time limits that a test wants."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from fileservice.storage.s3 import atomic_objects
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.heartbeat import Heartbeat
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.store import S3Store
from fileservice.storage.s3.timing import Timing
from tests.storage.contract.files import StoreAt
from tests.support.seaweed import SeaweedClient

EXPIRED = -1.0
"""As a time limit: whatever it is about is too old from the beginning."""
ANY_AGE = -2.0
"""As an age: everything is older, though the bucket's clock is rounded to seconds."""
PATIENT = {
    "connect": 60.0,
    "read": 60.0,
    "retry": 60.0,
    "retry_with_body": 60.0,
    "lease": 600.0,
    "release_request": 600.0,
}
"""Time limits for a busy machine. No test waits until one of them is over."""


class ManualHeartbeat(Heartbeat):
    """A heartbeat that beats only when a test says so: until then, the process is suspended."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self._called: set[Callable[[], None]] = set()

    def add(self, function: Callable[[], None]) -> None:
        self._called.add(function)

    def remove(self, function: Callable[[], None]) -> None:
        self._called.discard(function)

    def beat(self) -> None:
        for function in tuple(self._called):
            function()


class OpenStore(Protocol):
    """Open the store of this test as another process does, with time limits of its own."""

    def __call__(
        self,
        *,
        copy: str = "false",
        port: int | None = None,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] = time.time,
        **seconds: float,
    ) -> S3Store: ...


@pytest.fixture
def prefix(seaweed: SeaweedClient) -> Iterator[str]:
    """A prefix in the bucket that only this test uses."""
    name = f"t-{secrets.token_hex(8)}"
    yield name
    seaweed.clear(name)


@pytest.fixture
def open_s3(seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch) -> OpenStore:
    # It includes the turns of all other threads of a process.
    monkeypatch.setattr(atomic_objects, "_COMPETITION_SECONDS", 100.0)

    def open_s3(
        *,
        copy: str = "false",
        port: int | None = None,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] = time.time,
        **seconds: float,
    ) -> S3Store:
        location = Location.parse(seaweed.url(prefix, port, copy))
        timing = Timing(**PATIENT | seconds)
        return S3Store(location, verified=True, timing=timing, heartbeat=heartbeat, clock=clock)

    return open_s3


@pytest.fixture
def store(open_s3: OpenStore) -> S3Store:
    return open_s3()


@pytest.fixture
def another_store(open_s3: OpenStore) -> S3Store:
    """The same files, as another process sees them."""
    return open_s3()


@pytest.fixture
def store_at(open_s3: OpenStore) -> StoreAt:
    return lambda now: open_s3(clock=lambda: now)


@pytest.fixture
def suspended_store(open_s3: OpenStore) -> S3Store:
    """The same files, as a process sees them that is suspended whenever it makes no call."""
    return open_s3(heartbeat=ManualHeartbeat())


@pytest.fixture
def succeeding_store(open_s3: OpenStore) -> S3Store:
    """The same files, as a process sees them for which every lease has expired."""
    return open_s3(lease=EXPIRED)


@pytest.fixture
def client(store: S3Store) -> S3Client:
    """The client of `store`."""
    return store.client
