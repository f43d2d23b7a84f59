"""The list: whole, page by page, narrowed, and in other orders."""

import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, urlsplit

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, ask, request

NAMES = sorted("a.txt|B.txt|b.txt|ab.txt|a b.txt|a-b.txt|a%41.txt|z.pdf|é.txt|日.md".split("|"))


def fill(server: LiveServer, names: list[str]) -> None:
    for name in names:
        (server.store / name).write_bytes(b"text\n")


def names_in(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [file["filename"] for file in answer.json()]


def next_of(answer: Answer) -> str | None:
    """The target of the link to the next page."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^<>]+)>; rel="next"', link)
    assert match, link
    parts = urlsplit(match[1])
    assert parts.scheme == "http"
    return f"{parts.path}?{parts.query}"


def walk(wire: Wire, target: str | None) -> Iterator[list[str]]:
    """The names of each page, from one link to the next."""
    while target:
        answer = wire.ask(request(f"GET {target}"))
        yield names_in(answer)
        target = next_of(answer)


def test_the_list_is_complete_and_sorted_by_name(server: LiveServer, wire: Wire) -> None:
    fill(server, NAMES)
    answer = wire.ask(request("GET /download"))
    assert answer.headers["Content-Type"] == "application/json"
    assert names_in(answer) == NAMES
    assert next_of(answer) is None
    for file in answer.json():
        assert file.keys() >= {"filename", "url", "size", "type", "modified", "digest"}
        assert file["size"] == 5
        assert file["digest"] is None  # nobody has computed it
        assert file["url"] == f"http://files.example/download/{quote(file['filename'])}"
        assert datetime.fromisoformat(file["modified"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("limit", [1, 2, 3, len(NAMES) - 1, len(NAMES), len(NAMES) + 1])
def test_links_to_the_next_page_lead_through_the_list(
    server: LiveServer, wire: Wire, limit: int
) -> None:
    fill(server, NAMES)
    pages = list(walk(wire, f"/download?limit={limit}"))
    assert [name for page in pages for name in page] == NAMES
    assert all(len(page) == limit for page in pages[:-1])
    assert 0 < len(pages[-1]) <= limit


def test_a_page_may_begin_after_any_name(server: LiveServer, wire: Wire) -> None:
    fill(server, NAMES)
    for after in [*NAMES, "", "a", "c.txt", "~", "日本"]:
        answer = wire.ask(request(f"GET /download?after={quote(after)}"))
        assert names_in(answer) == [name for name in NAMES if name > after]


def test_the_list_is_filtered_by_prefix_and_by_substring(server: LiveServer, wire: Wire) -> None:
    fill(server, NAMES)
    for prefix in ("a", "a%25", "a ", "é", "none"):
        found = names_in(wire.ask(request(f"GET /download?prefix={quote(prefix)}")))
        assert found == [name for name in NAMES if name.startswith(prefix)]
    for text in (".txt", "b.", "日", "none"):
        found = names_in(wire.ask(request(f"GET /download?q={quote(text)}")))
        assert found == [name for name in NAMES if text.lower() in name.lower()]
    found = names_in(wire.ask(request("GET /download?prefix=a&q=b&after=a%20b.txt")))
    assert found == ["a-b.txt", "ab.txt"]


@pytest.mark.parametrize("query", ["prefix=a", "q=.txt", "prefix=a&q=b", "q=%C3%89"])
def test_the_next_page_has_the_same_filter(server: LiveServer, wire: Wire, query: str) -> None:
    fill(server, NAMES)
    whole = names_in(wire.ask(request(f"GET /download?{query}")))
    pages = list(walk(wire, f"/download?{query}&limit=1"))
    assert [name for page in pages for name in page] == whole != []


def test_the_list_is_sorted_in_other_orders_page_by_page(server: LiveServer, wire: Wire) -> None:
    for number, name in enumerate(NAMES):
        (server.store / name).write_bytes(b"x" * (number * 7 % 4))
        os.utime(server.store / name, (0, -5 + number * 3 % 7))  # equal ones, and one before 1970
    whole = ask(server, request("GET /download")).json()
    for field, key in (("name", "filename"), ("size", "size"), ("modified", "modified")):
        ordered = sorted(whole, key=lambda file: (file[key], file["filename"]))
        for sort, expected in ((field, ordered), (f"-{field}", ordered[::-1])):
            names = [file["filename"] for file in expected]
            for limit in (1, 3, 100):
                pages = walk(wire, f"/download?sort={sort}&limit={limit}")
                assert [name for page in pages for name in page] == names
            pages = walk(wire, f"/download?sort={sort}&limit=2&q=.txt")
            assert [name for page in pages for name in page] == [
                name for name in names if ".txt" in name
            ]


@pytest.mark.parametrize(
    "query",
    ["sort=&limit=5", "sort=type&limit=5", "sort=--size&limit=5", "sort=size",
     "sort=size&limit=5&after=a.txt", "sort=size&limit=5&after=1.5/a.txt"],
)  # fmt: skip
def test_an_unknown_order_is_refused(wire: Wire, query: str) -> None:
    answer = wire.ask(request(f"GET /download?{query}"))
    assert (answer.status, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "9" * 30])
def test_an_invalid_limit_is_refused(wire: Wire, limit: str) -> None:
    answer = wire.ask(request(f"GET /download?limit={limit}"))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_paging_lists_every_file_once_while_others_are_stored_and_deleted(
    server: LiveServer,
) -> None:
    lasting = [f"{number:04}.txt" for number in range(0, 1000, 2)]
    fill(server, lasting)
    done = threading.Event()
    started = threading.Event()

    def come_and_go() -> None:
        with Wire(server) as wire:
            number = 1
            while not done.is_set():
                name = f"{number % 1000:04}.txt"
                assert wire.ask(request(f"PUT /upload/{name}", body=b"text")).status == 201
                started.set()
                assert wire.ask(request(f"DELETE /download/{name}")).status == 204
                number += 2 * 37

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        assert started.wait(30)
        with Wire(server) as wire:
            for _ in range(3):
                met = [name for page in walk(wire, "/download?limit=7") for name in page]
                assert met == sorted(met)
                assert len(met) == len(set(met))
                assert set(met) >= set(lasting)
                whole = names_in(wire.ask(request("GET /download")))
                assert len(whole) == len(set(whole))
                assert set(whole) >= set(lasting)
    finally:
        done.set()
        other.join(30)


def test_an_upload_is_in_the_list_as_soon_as_it_is_answered(server: LiveServer) -> None:
    with Wire(server) as here, Wire(server) as there:
        for number in range(60):
            name = f"{number}.txt"
            assert here.ask(request(f"PUT /upload/{name}", body=b"text")).status == 201
            page = names_in(there.ask(request(f"GET /download?limit=5&prefix={name}")))
            assert page == [name]
            if number % 2:
                assert here.ask(request(f"DELETE /download/{name}")).status == 204
                assert names_in(there.ask(request(f"GET /download?prefix={name}"))) == []


def test_unfinished_uploads_are_not_in_the_list(server: LiveServer, wire: Wire) -> None:
    with Wire(server) as other:
        other.send(request("PUT /upload/a.txt", body=b"text")[:-1])
        assert names_in(wire.ask(request("GET /download"))) == []


def test_the_html_page_leads_through_the_list(server: LiveServer, wire: Wire) -> None:
    names = [f"{number:03}.txt" for number in range(250)]
    fill(server, names)
    found, target = [], "/upload"
    while target:
        page = wire.ask(request(f"GET {target}", "Accept: text/html")).body.decode()
        found += re.findall(r">(?:<bdi>)?(\d+\.txt)<", page)
        link = re.search(r'<a[^>]*rel="next"[^>]*href="([^"]*)"', page)
        target = link and "/upload" + link[1].replace("&amp;", "&")
    assert found == names


def test_time_in_the_list_is_a_condition_under_which_the_file_is_deleted(
    server: LiveServer,
) -> None:
    """The page deletes what it has listed, and not what has taken the name meanwhile."""
    with server.client() as client:
        client.put("/upload/a.txt", content=b"x").raise_for_status()
        (record,) = client.get("/download?limit=1").json()
        listed = datetime.fromisoformat(record["modified"])
        for since, status in ((listed - timedelta(seconds=1), 412), (listed, 204)):
            condition = {"If-Unmodified-Since": format_datetime(since.astimezone(UTC), usegmt=True)}
            assert client.delete("/download/a.txt", headers=condition).status_code == status
