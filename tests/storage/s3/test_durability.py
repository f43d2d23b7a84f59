"""What a store in a bucket acknowledged outlasts a power cut, on SeaweedFS set up as we say."""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator

import pytest
from botocore.config import Config

from fileservice.names import FileName
from fileservice.storage import StorageError, Store, open_store
from fileservice.storage.s3 import calls
from tests.storage.store_contract import NAME, content_of, read
from tests.support.disk import Disk
from tests.support.seaweed import BUCKET, CREDENTIALS, Seaweed
from tests.support.wire import eventually

PREFIX = "store"
MIB = 1 << 20


class Writer(threading.Thread):
    """Publishes one file after the other until the store fails, and remembers what it was told."""

    def __init__(self, store: Store, name: str, size: int, *, in_place: bool) -> None:
        super().__init__()
        self._store = store
        self._name = name
        self._size = size
        self._in_place = in_place
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        for number in itertools.count():
            name, data = FileName.parse(f"{self._name}-{number}.txt"), os.urandom(self._size)
            writer = self._store.writer(self._size, stream_to=name if self._in_place else None)
            try:
                writer.write(data)
                writer.publish(name, content_of(data))
            except StorageError:
                return
            finally:
                writer.close()
            self.acknowledged[name] = hashlib.sha256(data).digest()


def keep(store: Store, data: bytes) -> str:
    """Begin an upload, and have its first bytes kept."""
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(data)
    writer.sync()
    writer.close()
    return upload


def lost(store: Store, acknowledged: dict[str, bytes]) -> dict[str, str]:
    """The files that are not there, or not as they were; and what is there instead."""
    found = {}
    for name, digest in acknowledged.items():
        try:
            data = read(store, name)
        except StorageError as error:
            found[name] = repr(error)
            continue
        if hashlib.sha256(data).digest() != digest:
            found[name] = f"{len(data)} other bytes"
    return found


@pytest.fixture
def start(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Seaweed]]:
    """Start SeaweedFS on the disk, with all that it kept there."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    started: list[Seaweed] = []

    def start() -> Seaweed:
        started.append(Seaweed(disk.path / "seaweedfs"))
        return started[-1]

    yield start
    for seaweed in started:
        seaweed.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose power was cut does not come back while a request waits."""
    monkeypatch.setattr(calls, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(calls, "RETRY_SECONDS_WITH_BODY", 0.0)


def test_what_was_acknowledged_survives_a_power_cut(
    disk: Disk, start: Callable[[], Seaweed]
) -> None:
    seaweed = start()
    store = open_store(seaweed.url(PREFIX), fsync=True)
    writers = [
        Writer(store, "small", 1000, in_place=True),
        Writer(store, "other", 200_000, in_place=True),
        Writer(store, "large", 9 * MIB, in_place=True),
        Writer(store, "spooled", 9 * MIB, in_place=False),
    ]
    begun = os.urandom(3 * MIB)
    for writer in writers:
        writer.start()
    eventually(lambda: all(len(writer.acknowledged) > 3 for writer in writers), 60)
    upload = keep(store, begun)
    disk.cut_power()  # while they write
    seaweed.stop()
    for writer in writers:
        writer.join(60)
    disk.power_up()

    again = open_store(start().url(PREFIX), fsync=True)
    for writer in writers:
        assert not lost(again, writer.acknowledged)
    assert again.uploads.read(upload).size == len(begun)
    resumed = again.locker.lock(upload)
    try:
        assert resumed.read_at(len(begun), 0) == begun
    finally:
        resumed.close()


@pytest.mark.thorough
@pytest.mark.parametrize("copy", ["false", "true"], ids=["sent", "control copied by SeaweedFS"])
def test_a_file_put_together_from_pieces_survives_a_power_cut(
    disk: Disk, start: Callable[[], Seaweed], monkeypatch: pytest.MonkeyPatch, copy: str
) -> None:
    seaweed = start()
    store = open_store(seaweed.url(PREFIX, copy=copy), fsync=True)
    data = os.urandom(64 * MIB)  # over all its volumes: some are not synced for other reasons
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    writer.write(data)
    writer.publish(NAME, content_of(data))
    disk.cut_power()
    seaweed.stop()
    writer.close()
    disk.power_up()

    hasty = calls._CONFIG.merge(Config(read_timeout=1))
    monkeypatch.setattr(calls, "_CONFIG", hasty)
    again = open_store(start().url(PREFIX), fsync=True)
    kept = not lost(again, {NAME: hashlib.sha256(data).digest()})
    assert kept == (copy == "false")


@pytest.mark.thorough
def test_without_the_rule_for_the_bucket_a_power_cut_loses_what_was_acknowledged(
    disk: Disk, start: Callable[[], Seaweed], monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweed = start()
    seaweed.shell(f"fs.configure -locationPrefix=/buckets/{BUCKET}/ -delete -apply")
    store = open_store(seaweed.url(PREFIX), fsync=True)
    os.sync()
    writer = Writer(store, "small", 1000, in_place=True)
    writer.start()
    eventually(lambda: len(writer.acknowledged) > 10)
    disk.cut_power()
    seaweed.stop()
    writer.join(60)
    disk.power_up()

    hasty = calls._CONFIG.merge(Config(read_timeout=1))  # SeaweedFS looks for lost bytes for long
    monkeypatch.setattr(calls, "_CONFIG", hasty)
    again = open_store(start().url(PREFIX), fsync=True)
    assert lost(again, dict(list(writer.acknowledged.items())[-5:]))
