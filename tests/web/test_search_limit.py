"""Searches of the list: a few at a time, and nobody else waits for them."""

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

SEARCHES = ["/download?sort=size&limit=5", "/download?q=a&limit=5", "/download?q=a", "/upload?q=a",
            "/upload?sort=-modified"]  # fmt: skip
OTHERS = ["/download", "/download?limit=5", "/download?prefix=a", "/upload", "/healthz"]


class SlowStore(LocalStore):
    """A store that lists what is searched for when the test says so."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, fsync=False)
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def list(
        self, after: str = "", prefix: str = "", contains: str = "", **options: object
    ) -> Iterator[StoredFile]:
        if contains or options.get("brief"):
            self.begun.release()
            assert self.go_on.wait(30)
        yield from super().list(after, prefix, contains, **options)


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    store = SlowStore(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"text")
    return store


@pytest.fixture
def client(store: SlowStore, tmp_path: Path) -> Callable[[], FlaskClient]:
    app = create_app(Settings.from_environ({f"{PREFIX}STORE_URL": str(tmp_path)}), store)
    return app.test_client


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_too_many_is_told_to_come_again_and_nothing_else_waits(
    store: SlowStore,
    client: Callable[[], FlaskClient],
    search: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search_limit, "WAIT_SECONDS", 0.05)
    with ThreadPoolExecutor(search_limit.MAX_SEARCHES) as others:
        try:
            under_way = [
                others.submit(client().get, search) for _ in range(search_limit.MAX_SEARCHES)
            ]
            for _ in under_way:
                assert store.begun.acquire(timeout=30)
            refused = client().get(search)
            assert refused.status_code == 503
            assert refused.json["code"] == "busy"
            assert refused.headers["Retry-After"]
            for other in OTHERS:
                assert client().get(other).status_code == 200
        finally:
            store.go_on.set()
        assert [answer.result(30).status_code for answer in under_way] == [200, 200]
    assert client().get(search).status_code == 200


def test_a_search_waits_for_its_turn(store: SlowStore, client: Callable[[], FlaskClient]) -> None:
    many = 5 * search_limit.MAX_SEARCHES
    with ThreadPoolExecutor(many) as others:
        answers = [others.submit(client().get, SEARCHES[0]) for _ in range(many)]
        assert store.begun.acquire(timeout=30)
        store.go_on.set()
        assert [answer.result(30).status_code for answer in answers] == [200] * many


def test_a_file_that_goes_while_it_is_sorted_is_left_out(
    store: SlowStore, client: Callable[[], FlaskClient], tmp_path: Path
) -> None:
    store.go_on.set()
    for name in ("b.txt", "c.txt", "d.txt"):
        (tmp_path / name).write_bytes(b"x")
    listed = LocalStore.list

    def all_but_one_go(*of: object, **options: object) -> Iterator[StoredFile]:
        yield from listed(*of, **options)
        for name in ("b.txt", "c.txt"):
            (tmp_path / name).unlink(missing_ok=True)

    SlowStore.list, before = all_but_one_go, SlowStore.list
    try:
        answer = client().get("/download?sort=size&limit=2")
    finally:
        SlowStore.list = before
    assert answer.json == []
    rest = client().get(answer.headers["Link"].partition(">")[0].lstrip("<"))
    assert [file["filename"] for file in rest.json] == ["d.txt", "a.txt"]
