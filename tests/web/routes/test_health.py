"""GET /healthz and /readyz: one check of the store for all, and no waiting for one that hangs."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fileservice.app import create_app
from fileservice.settings import Settings
from fileservice.storage import StorageFull, StorageUnavailable
from fileservice.storage.local import LocalStore
from fileservice.web.routes import health
from fileservice.web.routes.health import SharedCheck, check_store
from tests.support.clock import Clock
from tests.support.wire import eventually
from tests.web.application import application


class Check:
    """A check that counts its calls and that a test can make hang and fail."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self) -> None:
        self.count += 1
        assert self.may_end.wait(30)
        if self.error:
            raise self.error


@pytest.fixture
def check() -> Iterator[Check]:
    check = Check()
    yield check
    check.may_end.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, "time", clock)
    return clock


def test_clients_that_ask_within_the_interval_share_one_check(check: Check, clock: Clock) -> None:
    store_health = SharedCheck(check, interval=60)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store_health.require(), range(100)))
    clock.now += 59
    store_health.require()
    assert check.count == 1


def test_after_the_interval_the_store_is_checked_again(check: Check, clock: Clock) -> None:
    store_health = SharedCheck(check, interval=60)
    for number in range(1, 4):
        store_health.require()
        assert check.count == number
        clock.now += 61


def test_an_error_is_raised_to_all_until_a_later_check_succeeds(check: Check, clock: Clock) -> None:
    store_health = SharedCheck(check, interval=1)
    check.error = StorageFull("no room")
    for _ in range(3):
        with pytest.raises(StorageFull, match="no room"):
            store_health.require()
    assert check.count == 1

    check.error = None
    clock.now += 2
    store_health.require()


def test_while_a_check_hangs_nobody_waits_long_and_no_other_begins(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.2)
    store_health = SharedCheck(check, interval=0)
    check.may_end.clear()

    begin = time.monotonic()
    for _ in range(200):
        with pytest.raises(StorageUnavailable, match="has not answered"):
            store_health.require()
    assert time.monotonic() - begin < 20  # only the first client waits, so not 40 seconds
    assert check.count == 1


def test_a_result_counts_although_the_event_loop_has_not_passed_it_on(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.2)
    is_passed_on = threading.Event()

    def run(call: Callable[[], None]) -> None:
        call()
        assert is_passed_on.wait(60)

    def has_result() -> bool:
        try:
            store_health.require()
        except StorageUnavailable:  # the thread of the check is slow to begin
            return False
        return True

    store_health = SharedCheck(check, interval=600, run=run)
    try:
        eventually(has_result)
        check.error = StorageFull("no room")  # of no later check
        store_health.require()
    finally:
        is_passed_on.set()


def test_a_check_that_hung_is_followed_by_another_one(check: Check, clock: Clock) -> None:
    store_health = SharedCheck(check, interval=0)
    check.may_end.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(store_health.require)
        check.may_end.set()
        first.result(30)
    clock.now += 1
    store_health.require()
    assert check.count == 2


def test_a_check_of_a_store_leaves_nothing_behind(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", fsync=True)
    before = sorted(tmp_path.rglob("*"))

    check_store(store, 0)

    assert sorted(tmp_path.rglob("*")) == before


def test_less_free_space_than_must_stay_free_raises_storage_full(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="must stay free"):
        check_store(LocalStore(tmp_path / "store", fsync=True), 1 << 60)


def test_a_healthy_service_answers_ok_and_is_not_cached(tmp_path: Path) -> None:
    response = application(tmp_path).test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


def test_a_store_without_space_is_reported_as_full(tmp_path: Path) -> None:
    response = application(tmp_path, MIN_FREE_SPACE="900TiB").test_client().get("/healthz")
    assert (response.status_code, response.json["code"]) == (507, "storage-full")


class Bucket:
    """A store behind a network, as far as health checks know it; it counts its checks."""

    remote = True
    uploads = locker = private_files = usage = None

    def __init__(self) -> None:
        self.checks = 0

    def check(self) -> None:
        self.checks += 1

    def free_space(self) -> None:
        return None


def test_all_workers_together_check_a_bucket_once_a_second(clock: Clock) -> None:
    # The workers do not know each other, so each of four checks it every fourth second.
    bucket = Bucket()
    settings = Settings.from_environ({"FILESERVICE_WORKERS": "4"})
    client = create_app(settings, bucket).test_client()  # type: ignore[arg-type]

    for _ in range(20):  # in half seconds
        assert client.get("/healthz").status_code == 200
        clock.now += 0.5

    assert bucket.checks == 3


def test_service_is_ready_while_the_store_is_healthy_and_the_access_file_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "access.toml"
    path.write_text("")
    client = application(tmp_path / "store", ACCESS_FILE=str(path)).test_client()
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"
    path.write_text("[tokens.secretive]\n")
    eventually(lambda: client.get("/readyz").status_code == 503)
    response = client.get("/readyz")
    assert response.json["code"] == "not-ready"
    assert response.headers["Retry-After"] == "10"
    assert "secretive" not in response.text
    assert client.get("/healthz").status_code == 200


def test_service_whose_store_is_full_is_not_ready_but_alive(tmp_path: Path) -> None:
    client = application(tmp_path, MIN_FREE_SPACE="900TiB").test_client()
    assert client.get("/livez").json == {"status": "ok"}
    response = client.get("/readyz")
    assert (response.status_code, response.json["code"]) == (503, "not-ready")
    assert "must stay free" in response.json["detail"]


def test_credentials_are_not_needed_to_ask_for_the_health(tmp_path: Path) -> None:
    client = application(tmp_path, ANONYMOUS="none").test_client()
    for path in ("/healthz", "/livez", "/readyz"):
        assert client.get(path).status_code == 200
