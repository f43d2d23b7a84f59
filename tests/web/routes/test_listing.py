"""GET /download: the list."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fileservice.gevent_executor import InlineExecutor
from fileservice.web.routes import list_pages, listing
from tests.support.rows import every_row
from tests.web.application import TEXT, application

NAMES = ["B.txt", "a.txt", "ab.txt", "c.txt", "\u00e4.txt"]


@pytest.fixture
def client(client: FlaskClient, root: Path) -> FlaskClient:
    for size, file_name in enumerate(NAMES):
        (root / file_name).write_bytes(TEXT * (1 + size))
    return client


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [file["filename"] for file in response.json]


def test_the_whole_list_is_sorted_by_name(client: FlaskClient) -> None:
    response = client.get("/download")
    assert names(response) == sorted(NAMES)
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.json[0].keys() == {
        "filename",
        "url",
        "size",
        "type",
        "modified",
        "expires",
        "digest",
    }


def test_the_list_of_an_empty_store_is_empty(tmp_path: Path) -> None:
    response = application(tmp_path).test_client().get("/download")
    assert response.json == []


@every_row(
    ("query", "expected"),
    [
        ("prefix=a", ["a.txt", "ab.txt"]),
        ("q=B", ["B.txt", "ab.txt"]),
        ("after=ab.txt", ["c.txt", "\u00e4.txt"]),
        ("prefix=a&after=a.txt", ["ab.txt"]),
        ("prefix=a\u0308", ["\u00e4.txt"]),
        ("limit=2", ["B.txt", "a.txt"]),
        ("limit=2&sort=-size", ["\u00e4.txt", "c.txt"]),
        ("limit=1&sort=-name", ["\u00e4.txt"]),
        ("limit=2&before=c.txt", ["a.txt", "ab.txt"]),
        ("limit=2&before=a.txt", ["B.txt"]),
        ("limit=2&before=B.txt", []),
        ("limit=1&sort=-name&before=ab.txt", ["c.txt"]),
        ("limit=2&before=c.txt&q=a", ["a.txt", "ab.txt"]),
    ],
)
def test_a_query_selects_files(client: FlaskClient, query: str, expected: list[str]) -> None:
    assert names(client.get(f"/download?{query}")) == expected


@every_row("sort", ["name", "-name", "size", "-size", "modified", "-modified"])
@every_row("limit", [1, 2, 5])
def test_the_links_lead_through_all_files_once(client: FlaskClient, sort: str, limit: int) -> None:
    url: str | None = f"/download?limit={limit}&sort={sort}"
    seen: list[str] = []
    while url:
        response = client.get(url)
        seen += names(response)
        link = response.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        url = link[1:].partition(">")[0] or None
    assert sorted(seen) == sorted(NAMES)


@every_row("sort", ["name", "-name", "size", "-modified"])
@every_row("limit", [1, 2, 5])
def test_the_page_leads_back_through_the_same_files(
    client: FlaskClient, sort: str, limit: int
) -> None:
    url, forwards = f"/upload?limit={limit}&sort={sort}", list[list[str]]()
    while url:
        text = client.get(url).text
        forwards.append(re.findall('value="([^"]*)" aria-label="Select', text))
        last, url = url, link(text, "next")
    backwards = list[list[str]]()
    while last:
        text = client.get(last).text
        backwards.append(re.findall('value="([^"]*)" aria-label="Select', text))
        last = link(text, "prev")
    assert backwards == forwards[::-1]


def link(page: str, relation: str) -> str:
    """The path of the link with this relation; empty if there is none."""
    found = re.search(f'rel="{relation}" href="([^"]*)"', page)
    return "/upload" + html.unescape(found[1]) if found else ""


@every_row(
    "query",
    ["limit=0", "limit=10001", "limit=-1", "limit=1e3", "limit=", "limit=\u0661", "sort=type",
     "sort=size", "limit=1&sort=size&after=a.txt", "before=a.txt",
     "limit=1&before=b.txt&after=a.txt", "limit=1&sort=size&before=a.txt"],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get(f"/download?{query}")
    assert (response.status_code, response.json["code"]) == (400, "bad-request")


def test_the_whole_list_is_sent_in_batches_that_are_one_json_array(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in range(1, len(NAMES) + 2):
        monkeypatch.setattr(listing, "BATCH_SIZE", size)
        response = client.get("/download")
        assert names(response) == sorted(NAMES)
        assert json.loads(response.text) == response.json


def test_more_files_than_may_be_sorted_raise_an_error_that_says_what_to_do(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_pages, "MAX_SORTED", len(NAMES))
    assert client.get("/download?sort=-size&limit=1").status_code == 200
    (root / "d.txt").write_bytes(TEXT)
    refused = client.get("/download?sort=-size&limit=1")
    assert refused.status_code == 400
    assert "narrow them" in refused.json["detail"]
    assert client.get("/download?sort=-size&limit=1&prefix=d").status_code == 200
    assert client.get("/download?limit=1").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("limit=2", True),
        ("after=a.txt&limit=1", True),
        ("q=B", False),
        ("sort=size&limit=2", False),
    ],
)
def test_lists_by_name_are_read_one_after_the_other_and_searches_are_not(
    client: FlaskClient, query: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []

    def run_busy_io(_self: InlineExecutor, function: Any, *args: Any) -> Any:
        taken.append(function)
        return function(*args)

    monkeypatch.setattr(InlineExecutor, "run_busy_io", run_busy_io)
    assert names(client.get(f"/download?{query}"))
    assert bool(taken) is expected
