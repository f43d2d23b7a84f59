"""Health: one look for all who ask, and no waiting for one that hangs."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fileservice.app import create_app
from fileservice.settings import Settings
from fileservice.storage import StorageFull, StorageUnavailable
from fileservice.storage.local import LocalStore
from fileservice.web import store_health
from fileservice.web.store_health import Health, look_at


class Looks:
    """A look that can be made to hang and to fail, and that is counted."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self) -> None:
        self.count += 1
        self.may_end.wait(30)
        if self.error:
            raise self.error


@pytest.fixture
def looks() -> Iterator[Looks]:
    looks = Looks()
    yield looks
    looks.may_end.set()


def test_all_who_ask_within_the_interval_share_one_look(looks: Looks) -> None:
    asked = Health(looks, interval=60)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: asked.require(), range(100)))
    assert looks.count == 1


def test_after_the_interval_there_is_another_look(looks: Looks) -> None:
    asked = Health(looks, interval=0)
    for number in range(1, 4):
        asked.require()
        assert looks.count == number


def test_what_was_wrong_is_raised_to_all_until_it_is_right_again(looks: Looks) -> None:
    asked = Health(looks, interval=0.05)
    looks.error = StorageFull("no room")
    for _ in range(3):
        with pytest.raises(StorageFull, match="no room"):
            asked.require()

    looks.error = None
    until = time.monotonic() + 5
    while True:
        try:
            asked.require()
            break
        except StorageFull:
            assert time.monotonic() < until


def test_nobody_waits_for_a_look_that_hangs_and_no_other_is_begun(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_health, "_PATIENCE", 0.2)
    asked = Health(looks, interval=0)
    looks.may_end.clear()

    begin = time.monotonic()
    for _ in range(20):
        with pytest.raises(StorageUnavailable, match="has not answered"):
            asked.require()
    assert time.monotonic() - begin < 2  # only the first waits
    assert looks.count == 1

    looks.may_end.set()
    until = time.monotonic() + 5
    while looks.count == 1:
        assert time.monotonic() < until
        try:
            asked.require()
        except StorageUnavailable:
            assert looks.count == 1


def test_a_look_at_a_store_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", fsync=True)
    before = sorted(tmp_path.rglob("*"))

    look_at(store, 0)

    assert sorted(tmp_path.rglob("*")) == before


def test_the_space_to_be_left_free_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="left free"):
        look_at(LocalStore(tmp_path / "store", fsync=True), 1 << 60)


class Bucket:
    """A store that is asked over a network, as far as health knows it; its calls are counted."""

    remote = True
    uploads = locker = None

    def __init__(self) -> None:
        self.calls = 0

    def check(self) -> None:
        self.calls += 1

    def free_space(self) -> None:
        return None


def test_a_bucket_is_asked_once_a_second_by_all_workers_together() -> None:
    # The workers do not know each other: each of four asks every fourth second.
    bucket = Bucket()
    settings = Settings.from_environ({"FILESERVICE_WORKERS": "4"})
    client = create_app(settings, bucket).test_client()  # type: ignore[arg-type]

    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert client.get("/healthz").status_code == 200

    assert bucket.calls == 1
