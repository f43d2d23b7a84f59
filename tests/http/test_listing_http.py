"""The list: whole, page by page, narrowed; and with a hundred thousand files."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import quote, urlsplit

import pytest

from tests.support.memory import growth_of
from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, ask, request

NAMES = sorted("a.txt|B.txt|b.txt|ab.txt|a b.txt|a-b.txt|a%41.txt|z.pdf|é.txt|日.md".split("|"))
MANY = 100_000
MIB = 1 << 20


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


def test_the_list_is_whole_and_sorted_by_default(server: LiveServer, wire: Wire) -> None:
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
def test_pages_lead_through_the_list(server: LiveServer, wire: Wire, limit: int) -> None:
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


def test_the_list_is_narrowed_by_a_prefix_and_by_a_part(server: LiveServer, wire: Wire) -> None:
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
def test_the_next_page_is_narrowed_as_the_first(server: LiveServer, wire: Wire, query: str) -> None:
    fill(server, NAMES)
    whole = names_in(wire.ask(request(f"GET /download?{query}")))
    pages = list(walk(wire, f"/download?{query}&limit=1"))
    assert [name for page in pages for name in page] == whole != []


def test_the_list_comes_in_other_orders_page_by_page(server: LiveServer, wire: Wire) -> None:
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
def test_an_order_that_is_none_is_refused(wire: Wire, query: str) -> None:
    answer = wire.ask(request(f"GET /download?{query}"))
    assert (answer.status, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "9" * 30])
def test_a_limit_that_is_none_is_refused(wire: Wire, limit: str) -> None:
    answer = wire.ask(request(f"GET /download?limit={limit}"))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_walk_meets_every_file_once_while_others_come_and_go(server: LiveServer) -> None:
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


def test_files_under_way_are_not_in_the_list(server: LiveServer, wire: Wire) -> None:
    with Wire(server) as other:
        other.send(request("PUT /upload/a.txt", body=b"text")[:-1])
        assert names_in(wire.ask(request("GET /download"))) == []


def test_the_page_for_people_leads_through_the_list(server: LiveServer, wire: Wire) -> None:
    names = [f"{number:03}.txt" for number in range(250)]
    fill(server, names)
    found, target = [], "/upload"
    while target:
        page = wire.ask(request(f"GET {target}", "Accept: text/html")).body.decode()
        found += re.findall(r">(?:<bdi>)?(\d+\.txt)<", page)
        link = re.search(r'<a[^>]*rel="next"[^>]*href="([^"]*)"', page)
        target = link and "/upload" + link[1].replace("&amp;", "&")
    assert found == names


# A hundred thousand files


@pytest.fixture(scope="module")
def full_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of one worker whose store has a hundred thousand files."""
    store = tmp_path_factory.mktemp("full") / "store"
    store.mkdir()
    directory = os.open(store, os.O_RDONLY)
    for number in range(MANY):
        os.close(os.open(f"{number:06}.txt", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
    os.close(directory)
    server = LiveServer({"STORE_URL": str(store), "WORKERS": "1"})
    yield server
    server.stop()
    shutil.rmtree(store)


def page_from(number: int) -> bytes:
    return request(f"GET /download?limit=100&after={number:06}.txt")


def test_a_page_of_many_files_takes_milliseconds(full_server: LiveServer) -> None:
    with Wire(full_server) as wire:
        wire.ask(page_from(0))
        seconds = []
        for number in range(1000, MANY - 1000, 3000):
            start = time.perf_counter()
            answer = wire.ask(page_from(number))
            seconds.append(time.perf_counter() - start)
            assert names_in(answer) == [f"{number + n:06}.txt" for n in range(1, 101)]
    assert statistics.median(seconds) < 0.020


def test_a_page_for_people_takes_milliseconds_too(full_server: LiveServer) -> None:
    with Wire(full_server) as wire:
        wire.ask(request("GET /upload"))
        seconds = []
        for _ in range(15):
            start = time.perf_counter()
            assert wire.ask(request("GET /upload?after=050000.txt")).status == 200
            seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 0.030


def test_sorting_many_files_holds_nobody_up(full_server: LiveServer) -> None:
    with Wire(full_server) as wire, Wire(full_server) as other:
        sorting = threading.Thread(
            target=lambda: wire.ask(request("GET /download?sort=-modified&limit=100"))
        )
        sorting.start()
        waits = []
        while sorting.is_alive():
            start = time.perf_counter()
            assert other.ask(request("GET /healthz")).status == 200
            waits.append(time.perf_counter() - start)
        sorting.join()
    assert statistics.median(waits) < 0.1


@pytest.mark.parametrize("changed", [False, True], ids=["warm", "after a change"])
def test_a_page_looks_at_its_own_files_only(
    root: None, tool: Callable[[str], str], full_server: LiveServer, changed: bool
) -> None:
    (pid,) = full_server.workers()
    with Wire(full_server) as wire:
        wire.ask(page_from(0))
        if changed:
            ask(full_server, request("PUT /upload/000000a.txt", body=b"text"))
            ask(full_server, request("DELETE /download/000000a.txt"))
        command = [tool("strace"), "-f", "-c", "-U", "calls,name", "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            assert "attached" in process.stderr.readline()
            assert len(names_in(wire.ask(page_from(70_000)))) == 100
            process.send_signal(signal.SIGINT)
            table = process.stderr.read()
    calls = {name: int(count) for count, name in re.findall(r"^\s*(\d+)\s+(\w+)$", table, re.M)}
    looks = {"stat", "lstat", "fstat", "newfstatat", "statx", "openat", "getxattr", "access"}
    assert calls.get("openat", 0) + calls.get("newfstatat", 0) + calls.get("statx", 0) >= 100
    assert sum(count for name, count in calls.items() if name in looks) < 1_500, calls
    assert calls["total"] < 5_000, calls


def test_the_whole_list_is_streamed_from_flat_memory(full_server: LiveServer) -> None:
    with Wire(full_server) as wire:
        wire.ask(page_from(0))
        with growth_of(full_server.workers()[0]) as growth:
            answer = wire.ask(request("GET /download"))
    assert growth.bytes < 16 * MIB
    files = json.loads(answer.body)
    assert [file["filename"] for file in files] == [f"{n:06}.txt" for n in range(MANY)]


def test_others_are_served_while_the_whole_list_is_streamed(full_server: LiveServer) -> None:
    with Wire(full_server) as slow, Wire(full_server) as wire:
        slow.send(request("GET /download"))
        assert slow.socket.recv(1) == b"H"
        seconds = []
        for _ in range(20):
            start = time.perf_counter()
            assert wire.ask(request("GET /download/050000.txt")).status == 200
            seconds.append(time.perf_counter() - start)
        slow.reset()
    assert statistics.median(seconds) < 0.1


def test_who_sorts_much_does_not_keep_others_from_uploading(full_server: LiveServer) -> None:
    name = "uploaded-meanwhile.txt"
    with contextlib.ExitStack() as stack:
        sorting = [stack.enter_context(Wire(full_server)) for _ in range(24)]
        for wire in sorting:
            wire.send(request("GET /download?sort=size&limit=1"))
        assert ask(full_server, request(f"PUT /upload/{name}", body=b"hi\n")).status == 201
        assert ask(full_server, request("GET /healthz")).status == 200
        answered, _, _ = select.select([wire.socket for wire in sorting], [], [], 0)
        sorted_before = [s for s in answered if b" 200 " in s.recv(20, socket.MSG_PEEK)]
        statuses = [wire.answer().status for wire in sorting]
    (full_server.store / name).unlink()
    assert len(sorted_before) < len(sorting) / 3
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
