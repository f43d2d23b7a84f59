"""What a store acknowledged survives a power cut, on SeaweedFS set up as docs/scaling.md says."""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from fileservice.names import FileName
from fileservice.storage import StorageError, Store
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.store import S3Store
from fileservice.storage.s3.timing import Timing
from tests.storage.store_contract import NAME, content_of, read
from tests.support.disk import Disk
from tests.support.seaweed import BUCKET, CREDENTIALS, Seaweed
from tests.support.wire import eventually

PREFIX = "store"
MIB = 1 << 20


def open_at(seaweed: Seaweed, *, copy: str = "false", read: float = 60.0) -> S3Store:
    """Open the store, and retry nothing: after a power cut it does not come back by itself."""
    timing = Timing(read=read, retry=0.0, retry_with_body=0.0)
    return S3Store(Location.parse(seaweed.url(PREFIX, copy=copy)), timing=timing)


class Publisher(threading.Thread):
    """Publishes one file after another until the store fails, and remembers the acknowledged."""

    def __init__(self, store: Store, name: str, size: int, *, stream: bool) -> None:
        super().__init__()
        self._store = store
        self._name = name
        self._size = size
        self._stream = stream
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        for number in itertools.count():
            name, data = FileName.parse(f"{self._name}-{number}.txt"), os.urandom(self._size)
            writer = self._store.writer(self._size, stream_to=name if self._stream else None)
            try:
                writer.write(data)
                writer.publish(name, content_of(data))
            except StorageError:
                return
            finally:
                writer.close()
            self.acknowledged[name] = hashlib.sha256(data).digest()


def begin_upload(store: Store, data: bytes) -> str:
    """Create a resumable upload, sync its first bytes, and return its id."""
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(data)
    writer.sync()
    writer.close()
    return upload


def lost(store: Store, acknowledged: dict[str, bytes]) -> dict[str, str]:
    """Return the files that are missing or have other bytes, and what is there instead."""
    differences = {}
    for name, digest in acknowledged.items():
        try:
            data = read(store, name)
        except StorageError as error:
            differences[name] = repr(error)
            continue
        if hashlib.sha256(data).digest() != digest:
            differences[name] = f"{len(data)} other bytes"
    return differences


@pytest.fixture
def start(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Seaweed]]:
    """Start SeaweedFS on the disk, with what it stored there before."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    started: list[Seaweed] = []

    def start() -> Seaweed:
        started.append(Seaweed(disk.path / "seaweedfs"))
        return started[-1]

    yield start
    for seaweed in started:
        seaweed.stop()


@pytest.mark.thorough
def test_acknowledged_files_and_bytes_survive_a_power_cut(
    disk: Disk, start: Callable[[], Seaweed]
) -> None:
    seaweed = start()
    store = open_at(seaweed)
    publishers = [
        Publisher(store, "small", 1000, stream=True),
        Publisher(store, "other", 200_000, stream=True),
        Publisher(store, "large", 9 * MIB, stream=True),
        Publisher(store, "spooled", 9 * MIB, stream=False),
    ]
    begun = os.urandom(3 * MIB)
    for publisher in publishers:
        publisher.start()
    eventually(lambda: all(len(publisher.acknowledged) > 3 for publisher in publishers), 60)
    upload = begin_upload(store, begun)
    disk.cut_power()  # while they write
    seaweed.stop()
    for publisher in publishers:
        publisher.join(60)
    disk.power_up()

    again = open_at(start())
    for publisher in publishers:
        assert not lost(again, publisher.acknowledged)
    assert again.uploads.read(upload).size == len(begun)
    resumed = again.locker.lock(upload)
    try:
        assert resumed.read_at(len(begun), 0) == begun
    finally:
        resumed.close()


@pytest.mark.thorough
@pytest.mark.parametrize("copy", ["false", "true"], ids=["sent", "control copied by SeaweedFS"])
def test_file_made_of_pieces_survives_a_power_cut(
    disk: Disk, start: Callable[[], Seaweed], copy: str
) -> None:
    seaweed = start()
    store = open_at(seaweed, copy=copy)
    data = os.urandom(64 * MIB)  # in all volumes: some are not synced for another reason
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(data)
    writer.publish(NAME, content_of(data))
    disk.cut_power()
    seaweed.stop()
    writer.close()
    disk.power_up()

    # SeaweedFS searches for lost bytes for a long time.
    again = open_at(start(), read=5.0 if copy == "true" else 60.0)
    survived = not lost(again, {NAME: hashlib.sha256(data).digest()})
    assert survived == (copy == "false")


@pytest.mark.thorough
def test_without_the_fsync_rule_a_power_cut_loses_acknowledged_files(
    disk: Disk, start: Callable[[], Seaweed]
) -> None:
    seaweed = start()
    seaweed.shell(f"fs.configure -locationPrefix=/buckets/{BUCKET}/ -delete -apply")
    store = open_at(seaweed)
    disk.sync()
    publisher = Publisher(store, "small", 1000, stream=True)
    publisher.start()
    eventually(lambda: len(publisher.acknowledged) > 10)
    disk.cut_power()
    seaweed.stop()
    publisher.join(60)
    disk.power_up()

    again = open_at(start(), read=1.0)  # SeaweedFS searches for lost bytes for a long time
    assert lost(again, dict(list(publisher.acknowledged.items())[-5:]))
