"""GET /download and GET /upload for credentials with a prefix: names with another do not exist."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from flask.testing import FlaskClient

from fileservice.storage.local.index import NameIndex
from fileservice.web.routes import list_pages
from tests.support.access import EditedAccessFile
from tests.support.rows import every_row
from tests.web.application import application

PREFIX = "ab-é"
MINE = sorted(f"{PREFIX}{rest}" for rest in ("", ".txt", "1.txt", "2.txt", "é.txt", "z.md"))
OTHERS = sorted(
    f"{name}.txt" for name in ("a", "ab", "ab-", "ab-e", "ab-z", "AB-É", "b", "z", "1", "é")
)
ORDERS = ["name", "-name", "size", "-size", "modified", "-modified"]
QUERIES = [
    "", "q=txt", "q=é", "q=ab", "prefix=a", "prefix=ab-", f"prefix={quote(PREFIX)}",
    f"prefix={quote(PREFIX)}1", "prefix=ab-e%CC%81", "after=a", "after=ab-", "after=1",
    f"after={quote(PREFIX)}1.txt", "prefix=a&q=t&after=a", "after=zz",
]  # fmt: skip
OUTSIDE = ["b", "ab-z", "ab-e", "AB-", "ab-éx", "ab-é1x", "é", "/", "\0", "~"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the files of MINE and OTHERS."""
    root = tmp_path_factory.mktemp("store")
    for number, name in enumerate((*OTHERS, *MINE)):
        (root / name).write_bytes(b"x" * (number * 7 % 5))
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> FlaskClient:
    """A client that may list the names with PREFIX."""
    access = EditedAccessFile(root.with_name("access.toml"))
    credentials = access.set("mine", "list,read", PREFIX)
    app = application(root, ACCESS_FILE=str(access.path))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = credentials["Authorization"]
    return client


def walk(client: FlaskClient, target: str) -> list[str]:
    """The names of all pages from this one on; also check the links between them."""
    names: list[str] = []
    while target:
        response = client.get(target)
        assert response.status_code == 200, response.text
        names += [file["filename"] for file in response.json]
        link = response.headers.get("Link", "")
        after = re.search("after=([^&>]*)", link)
        if after:  # the position of the last file of the page
            assert unquote(after[1]).rpartition("/")[2] in MINE
        target = link[1:].partition(">")[0]
    return names


def expected(query: str) -> list[str]:
    """The names of MINE that the query selects, by the description in docs/http.md."""
    fields = dict(re.findall(r"(\w+)=([^&]*)", query))
    decoded = {name: unicodedata.normalize("NFC", unquote(value)) for name, value in fields.items()}
    return [
        name
        for name in MINE
        if name.startswith(decoded.get("prefix", ""))
        and decoded.get("q", "").casefold() in name.casefold()
        and name > decoded.get("after", "")
    ]


@every_row("query", QUERIES)
def test_every_list_has_only_names_with_the_prefix(client: FlaskClient, query: str) -> None:
    assert walk(client, f"/download?{query}") == expected(query)
    for limit in (1, 2, 100):
        assert walk(client, f"/download?{query}&limit={limit}") == expected(query)


@every_row("order", ORDERS)
def test_every_order_has_only_names_with_the_prefix(client: FlaskClient, order: str) -> None:
    for query in [query for query in QUERIES if "after" not in query]:
        for limit in (2, 100):
            names = walk(client, f"/download?{query}&sort={order}&limit={limit}")
            assert sorted(names) == expected(query)


@every_row("order", ["", *(f"&sort={order}&limit=5" for order in ORDERS)])
@every_row("prefix", OUTSIDE)
def test_a_prefix_outside_gives_an_empty_list(client: FlaskClient, prefix: str, order: str) -> None:
    response = client.get(f"/download?prefix={quote(prefix)}{order}")
    assert (response.status_code, response.json) == (200, [])
    assert "Link" not in response.headers


@every_row("query", [*QUERIES, *(f"sort={order}" for order in ORDERS)])
def test_the_page_shows_only_names_with_the_prefix(client: FlaskClient, query: str) -> None:
    text = client.get(f"/upload?{query}").text
    shown = re.findall("<th [^>]*rowheader.*?<bdi>(.*?)</bdi>", text)
    assert sorted(shown) == expected("" if "sort" in query else query)
    for name in OTHERS:
        assert f">{name}<" not in text
        assert f'"{name}"' not in text


def test_a_cursor_between_names_of_others_leads_to_own_names_only(client: FlaskClient) -> None:
    for name in OTHERS:
        for order, cursor in (("name", name), ("size", f"0/{name}"), ("-modified", f"9/{name}")):
            names = walk(client, f"/download?sort={order}&limit=2&after={quote(cursor, safe='')}")
            assert set(names) <= set(MINE)


def test_files_of_others_do_not_count_towards_the_limit_of_a_sorted_list(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_pages, "MAX_SORTED", len(MINE))
    assert client.get("/download?sort=-size&limit=1").status_code == 200
    monkeypatch.setattr(list_pages, "MAX_SORTED", len(MINE) - 1)
    assert client.get("/download?sort=-size&limit=1").status_code == 400


@pytest.fixture
def names_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many names the store has read from its index since the last call."""
    read = 0
    original = NameIndex.names

    def counted(index: NameIndex, start: bytes) -> Iterator[bytes]:
        nonlocal read
        for name in original(index, start):
            read += 1
            yield name

    def since_last_call() -> int:
        nonlocal read
        count, read = read, 0
        return count

    monkeypatch.setattr(NameIndex, "names", counted)
    return since_last_call


@pytest.mark.parametrize(
    "target",
    ["/download", "/download?q=txt", "/download?limit=100&sort=-size", "/upload", "/upload?q=é",
     "/download?prefix=a", "/download?limit=3&after=1"],
)  # fmt: skip
def test_the_cost_of_a_list_does_not_depend_on_files_of_others(
    client: FlaskClient, names_read: Callable[[], int], root: Path, target: str
) -> None:
    client.get(target)
    before = names_read()
    added = [root / f"{start}{number}.txt" for start in ("ab-", "b") for number in range(30)]
    for path in added:
        path.touch()
    client.get(target)
    after = names_read()
    for path in added:
        path.unlink()
    assert after == before
    assert 0 < before <= len(MINE) + 1


def test_a_prefix_outside_costs_nothing(client: FlaskClient, names_read: Callable[[], int]) -> None:
    for prefix in OUTSIDE:
        client.get(f"/download?prefix={quote(prefix)}&q=t")
        client.get(f"/download?prefix={quote(prefix)}&sort=size&limit=5")
    assert names_read() <= len(OUTSIDE)  # some are longer than PREFIX and begin with it
