"""The number of searches that run at the same time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.app import create_app
from fileservice.settings import PREFIX, Settings
from fileservice.storage import StoredFile
from fileservice.storage.local import LocalStore
from fileservice.web import search_limit
from fileservice.web.errors import TooManySearches
from fileservice.web.search_limit import MAX_SEARCHES, SearchLimit

SEARCHES = ["/download?sort=size&limit=5", "/download?q=a&limit=5", "/download?q=a", "/upload?q=a",
            "/upload?sort=-modified"]  # fmt: skip
OTHER_REQUESTS = ["/download", "/download?limit=5", "/download?prefix=a", "/upload", "/healthz"]


class SlowStore(LocalStore):
    """A store whose searches wait for the test."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, fsync=False)
        self.search_began = threading.Semaphore(0)
        self.may_search = threading.Event()

    def list(
        self, after: str = "", prefix: str = "", contains: str = "", **options: object
    ) -> Iterator[StoredFile]:
        if contains or options.get("brief"):
            self.search_began.release()
            assert self.may_search.wait(30)
        yield from super().list(after, prefix, contains, **options)


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    store = SlowStore(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"text")
    return store


@pytest.fixture
def client(store: SlowStore, tmp_path: Path) -> Callable[[], FlaskClient]:
    """Make a client, of which each thread needs one."""
    app = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)}), store)
    return app.test_client


def test_one_search_too_many_raises_after_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_limit, "WAIT_SECONDS", 0.01)
    limit = SearchLimit()
    with limit.slot(), limit.slot(), pytest.raises(TooManySearches), limit.slot():
        pass
    with limit.slot():
        pass


def test_a_search_that_fails_frees_its_slot() -> None:
    limit = SearchLimit()
    for _ in range(MAX_SEARCHES + 1):
        with pytest.raises(ArithmeticError), limit.slot():
            raise ArithmeticError


def test_a_search_that_may_wait_forever_gets_the_next_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_limit, "WAIT_SECONDS", 0.01)
    limit, got_slot = SearchLimit(), threading.Event()

    def wait() -> None:
        with limit.slot(wait_forever=True):
            got_slot.set()

    with ThreadPoolExecutor(1) as threads:
        with limit.slot(), limit.slot():
            waiting = threads.submit(wait)
            assert not got_slot.wait(0.05)
        waiting.result(30)
    assert got_slot.is_set()


@pytest.mark.parametrize("search", SEARCHES)
def test_one_search_too_many_is_answered_503_and_other_requests_do_not_wait(
    store: SlowStore,
    client: Callable[[], FlaskClient],
    search: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_limit, "WAIT_SECONDS", 0.05)
    with ThreadPoolExecutor(MAX_SEARCHES) as threads:
        try:
            running = [threads.submit(client().get, search) for _ in range(MAX_SEARCHES)]
            for _ in running:
                assert store.search_began.acquire(timeout=30)
            refused = client().get(search)
            assert refused.status_code == 503
            assert refused.json["code"] == "busy"
            assert refused.headers["Retry-After"]
            for path in OTHER_REQUESTS:
                assert client().get(path).status_code == 200
        finally:
            store.may_search.set()
        assert [response.result(30).status_code for response in running] == [200] * MAX_SEARCHES
    assert client().get(search).status_code == 200


def test_a_search_waits_for_a_slot(
    store: SlowStore, client: Callable[[], FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_limit, "WAIT_SECONDS", 60.0)
    many = 5 * MAX_SEARCHES
    with ThreadPoolExecutor(many) as threads:
        responses = [threads.submit(client().get, SEARCHES[0]) for _ in range(many)]
        assert store.search_began.acquire(timeout=30)
        store.may_search.set()
        assert [response.result(30).status_code for response in responses] == [200] * many


def test_a_file_that_is_deleted_while_the_list_is_sorted_is_left_out(
    store: SlowStore,
    client: Callable[[], FlaskClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.may_search.set()
    for name in ("b.txt", "c.txt", "d.txt"):
        (tmp_path / name).write_bytes(b"x")

    def list_and_delete(*of: object, **options: object) -> Iterator[StoredFile]:
        yield from LocalStore.list(*of, **options)
        for name in ("b.txt", "c.txt"):
            (tmp_path / name).unlink(missing_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(SlowStore, "list", list_and_delete)
        response = client().get("/download?sort=size&limit=2")
    assert response.json == []
    rest = client().get(response.headers["Link"].partition(">")[0].lstrip("<"))
    assert [file["filename"] for file in rest.json] == ["d.txt", "a.txt"]
