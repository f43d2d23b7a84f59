"""Downloading: headers, files that were copied into the store, deletion, and connections."""

import email
import email.policy
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.http.known_file import BYTES, SIZE, date, get
from tests.support.processes import open_files
from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, ask, eventually, form, form_request, part, request

TEXT = b"some text\n"


# Headers


def test_a_download_has_all_headers_that_a_client_needs(client: httpx.Client, sample) -> None:
    pdf = sample("note.pdf").read_bytes()
    stored = client.put("/upload/a.pdf", content=pdf)
    answer = client.get("/download/a.pdf")
    assert (answer.status_code, answer.content) == (200, pdf)
    headers = answer.headers
    assert headers["Content-Length"] == str(len(pdf))
    assert headers["Content-Type"] == "application/pdf"
    assert headers["ETag"] == stored.headers["ETag"]
    assert not headers["ETag"].startswith("W/")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["Last-Modified"])
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Repr-Digest"] == stored.headers["Repr-Digest"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "allow-scripts" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["Content-Disposition"].startswith("attachment;")
    assert "Set-Cookie" not in headers
    assert "Content-Encoding" not in headers


def test_head_is_get_without_the_body(client: httpx.Client, etag: str) -> None:
    got, head = client.get("/download/data.bmp"), client.head("/download/data.bmp")
    assert (head.status_code, head.content) == (200, b"")
    ignored = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in ignored} == {
        k: v for k, v in got.headers.items() if k not in ignored
    }


def test_the_entity_tag_depends_on_the_content_alone(client: httpx.Client) -> None:
    answers = [
        client.put("/upload/a.txt", content=b"one"),
        client.put("/upload/b.txt", content=b"one"),
        client.put("/upload/c.txt", content=b"two"),
    ]
    one, same, other = (answer.headers["ETag"] for answer in answers)
    assert one == same != other


def test_a_text_has_a_charset_only_if_it_is_certain(client: httpx.Client) -> None:
    client.put("/upload/a.txt", content="Grüße\n".encode())
    client.put("/upload/b.txt", content="Grüße\n".encode("latin-1"))
    assert client.get("/download/a.txt").headers["Content-Type"] == "text/plain; charset=utf-8"
    assert client.get("/download/b.txt").headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "name",
    ["a.txt", "two words.txt", "Übersicht.txt", "日本語.txt", '"q".txt', "100%41.txt", "a;b.txt"],
)
def test_content_disposition_carries_any_name(client: httpx.Client, server, name: str) -> None:
    (server.store / name).write_bytes(TEXT)
    url = client.get("/download").json()[0]["url"]
    disposition = client.get(url).headers["Content-Disposition"]
    assert disposition.isascii()
    match = re.fullmatch(
        r"attachment; filename=\"([^\"\\%]*)\"; filename\*=UTF-8''([\w.!#$&+^`|~%-]+)", disposition
    )
    assert match, disposition
    message = email.message_from_string(
        f"Content-Disposition: attachment; filename*=UTF-8''{match[2]}\n\n",
        policy=email.policy.HTTP,
    )
    assert message.get_filename() == name
    assert match[1].endswith(".txt")
    if name in ("a.txt", "two words.txt"):
        assert match[1] == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("note.pdf", True),
        ("note.txt", True),
        ("img.png", True),
        ("img.jpg", True),
        ("note.docx", False),
        ("note.rtf", False),
        ("note.html", False),
        ("t.csv", False),
    ],
)
def test_inline_is_granted_to_harmless_types_only(
    wire: Wire, server: LiveServer, sample, name: str, shown: bool
) -> None:
    shutil.copy(sample(name), server.store / name)
    answer = wire.ask(request(f"GET /download/{name}?inline=1"))
    assert answer.status == 200
    kind = answer.headers["Content-Disposition"].partition(";")[0]
    assert kind == ("inline" if shown else "attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    plain = wire.ask(request(f"GET /download/{name}"))
    assert plain.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "evil.xml", "evil.js", "evil.xhtml"])
@pytest.mark.parametrize("query", ["", "?inline=1"])
def test_active_content_is_an_attachment_in_a_sandbox(
    wire: Wire, server: LiveServer, name: str, query: str
) -> None:
    (server.store / name).write_bytes(b"<svg xmlns='x'><script>alert(1)</script></svg>")
    for answer in (
        wire.ask(request(f"GET /download/{name}{query}")),
        wire.ask(request(f"GET /download/{name}{query}", "Range: bytes=0-9")),
        wire.ask(request(f"GET /download/{name}{query}", "Range: bytes=0-9,20-29")),
    ):
        assert answer.status in (200, 206)
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert re.search(r"(^|;\s*)sandbox(;|$)", policy)
        assert "script-src" not in policy


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.json"])
def test_markup_behind_another_extension_is_served_as_no_page(wire: Wire, name: str) -> None:
    html = b"<!doctype html><script>alert(1)</script>\n"
    if name == "a.json":
        html = b'"<!doctype html><script>alert(1)</script>"'
    stored = wire.ask(request(f"PUT /upload/{name}", "Content-Type: text/html", body=html))
    assert stored.status == 201
    answer = wire.ask(request(f"GET /download/{name}?inline=1"))
    assert answer.headers["Content-Type"].partition(";")[0] in (
        "text/plain", "text/markdown", "text/csv", "application/json"
    )  # fmt: skip
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


# Files that came another way


@pytest.mark.parametrize("name", ["data.txt", "image.png", "tool.exe", "README", "Ünïcödé.txt"])
def test_a_file_copied_into_the_directory_is_served_and_listed(
    wire: Wire, server: LiveServer, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(BYTES)
    shutil.copy2(tmp_path / name, server.store / name)
    (record,) = wire.ask(request("GET /download")).json()
    assert (record["filename"], record["size"]) == (name, SIZE)
    path = httpx.URL(record["url"]).raw_path.decode()
    answer = wire.ask(request(f"GET {path}"))
    assert (answer.status, answer.body) == (200, BYTES)
    assert answer.headers["Content-Type"].partition(";")[0] == record["type"]
    revalidated = wire.ask(request(f"GET {path}", f"If-None-Match: {answer.headers['ETag']}"))
    assert revalidated.status == 304
    assert wire.ask(request(f"DELETE {path}")).status == 204


def assert_another(before: Answer, answer: Answer) -> None:
    assert answer.body == TEXT.upper()
    assert answer.headers["ETag"] != before.headers["ETag"]
    assert answer.headers.get("Repr-Digest") != before.headers["Repr-Digest"]


def test_a_file_replaced_in_the_directory_has_a_new_entity_tag(
    wire: Wire, server: LiveServer
) -> None:
    before = wire.ask(request("PUT /upload/a.txt", body=TEXT))
    (server.store / "new").write_bytes(TEXT.upper())
    (server.store / "new").rename(server.store / "a.txt")
    assert_another(before, wire.ask(request("GET /download/a.txt")))


def test_a_file_changed_in_place_has_lost_its_digest(wire: Wire, server: LiveServer) -> None:
    before = wire.ask(request("PUT /upload/a.txt", body=TEXT))
    (server.store / "a.txt").write_bytes(TEXT.upper())
    assert_another(before, wire.ask(request("GET /download/a.txt")))


def test_a_symbolic_link_out_of_the_directory_is_not_followed(
    wire: Wire, server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (server.store / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert wire.ask(request("GET /download/a.txt")).status == 404
    assert wire.ask(request("GET /download")).json() == []


def test_a_directory_in_the_store_is_not_served_or_listed(wire: Wire, server: LiveServer) -> None:
    directory = server.store / "folder.txt"
    directory.mkdir()
    try:
        assert wire.ask(request("GET /download/folder.txt")).status == 404
        assert wire.ask(request("GET /download")).json() == []
        assert wire.ask(request("DELETE /download/folder.txt")).status == 404
        assert ask(server, request("PUT /upload/folder.txt", body=TEXT)).status == 409
    finally:
        directory.rmdir()


@pytest.mark.parametrize("seconds", [-1, 0, 2**31, 4_102_444_800])
def test_a_file_with_any_modification_time_is_served_and_listed(
    wire: Wire, server: LiveServer, seconds: int
) -> None:
    (server.store / "a.txt").write_bytes(TEXT)
    os.utime(server.store / "a.txt", (seconds, seconds))
    answer = wire.ask(request("GET /download/a.txt"))
    assert answer.body == TEXT
    assert answer.headers["Last-Modified"] == date(seconds)
    assert len(wire.ask(request("GET /download")).json()) == 1
    assert wire.ask(request("GET /upload")).status == 200


def test_a_file_from_the_year_10000_does_not_hide_the_others(
    root: None, tool: Callable[[str], str], start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"  # one that can hold such a date: ext4 cannot, XFS and tmpfs can
    disk.mkdir()
    subprocess.run([tool("mount"), "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    try:
        server = start_server(STORE_URL=str(disk / "store"), WORKERS="1")
        for name in ("a.txt", "b.txt", "c.txt"):
            (server.store / name).write_bytes(TEXT)
        year_10000 = 253_402_300_800
        os.utime(server.store / "b.txt", (year_10000, year_10000))
        assert ask(server, request("GET /download/b.txt")).body == TEXT
        for path in ("/upload", "/download?limit=5", "/download"):
            answer = ask(server, request(f"GET {path}"))
            assert answer.status == 200
            assert b"c.txt" in answer.body
    finally:
        subprocess.run([tool("umount"), "-l", str(disk)], check=True)


def test_validators_are_the_same_after_a_restart(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(WORKERS="1")
    (server.store / "copied.txt").write_bytes(TEXT)
    ask(server, request("PUT /upload/sent.txt", body=TEXT))

    def validators() -> list[tuple[str, str]]:
        answers = [ask(server, request(f"GET /download/{n}.txt")) for n in ("copied", "sent")]
        return [(a.headers["ETag"], a.headers["Last-Modified"]) for a in answers]

    before = validators()
    assert server.stop() == 0
    server.start()
    assert validators() == before


# Deletions


def test_a_deleted_name_may_be_uploaded_again(wire: Wire) -> None:
    for data in (b"one\n", b"two\n"):
        assert wire.ask(request("PUT /upload/a.txt", body=data)).status == 201
        assert wire.ask(request("GET /download/a.txt")).body == data
        assert wire.ask(request("DELETE /download/a.txt")).status == 204
        assert wire.ask(request("DELETE /download/a.txt")).status == 404


def test_a_deletion_does_not_break_a_download_under_way(server: LiveServer) -> None:
    data = BYTES * 200
    (server.store / "data.bmp").write_bytes(data)
    with Wire(server) as wire:
        wire.send(get())
        assert ask(server, get(method="DELETE")).status == 204
        answer = wire.answer()
        assert (answer.status, answer.body) in ((200, data), (404, answer.body))


# Connections

EVERY_KIND_OF_ANSWER = {
    "the file": (get(), 200),
    "its head": (get(method="HEAD"), 200),
    "a range": (get("Range: bytes=5-9"), 206),
    "a range of no bytes asked of the head": (get("Range: bytes=5-9", method="HEAD"), 200),
    "several ranges": (get("Range: bytes=5-9,20-29"), 206),
    "no such range": (get(f"Range: bytes={SIZE}-"), 416),
    "not modified": (get("If-None-Match: *"), 304),
    "not modified, head": (get("If-None-Match: *", method="HEAD"), 304),
    "a failed condition": (get('If-Match: "x"'), 412),
    "a failed condition, head": (get('If-Match: "x"', method="HEAD"), 412),
    "no such file": (get(name="none.txt"), 404),
    "no such file, head": (get(name="none.txt", method="HEAD"), 404),
    "no such path": (request("GET /nowhere"), 404),
    "no such method": (request("DELETE /upload", "Content-Length: 0"), 405),
    "a redirect": (request("GET /"), 302),
    "the page": (request("GET /upload"), 200),
    "the page's head": (request("HEAD /upload"), 200),
    "the list": (request("GET /download"), 200),
    "the list's head": (request("HEAD /download"), 200),
    "a page of the list": (request("GET /download?limit=1"), 200),
    "an upload": (request("PUT /upload/a.txt", body=TEXT), 201),
    "a form": (form_request(form(part("file", TEXT, "b.txt"))), 201),
    "a form of a browser": (
        form_request(form(part("file", TEXT, "c.txt")), "Accept: text/html"),
        303,
    ),
    "a deletion": (request("DELETE /download/gone.txt"), 204),
    "a refused upload": (request("PUT /upload/a.exe", body=TEXT), 415),
    "a taken name": (request("PUT /upload/data.bmp", body=TEXT), 409),
    "a failed digest": (request("PUT /upload/d.txt", "Repr-Digest: x", body=TEXT), 400),
    "an upload without a body": (request("PUT /upload/d.txt"), 411),
    "options": (request("OPTIONS /download/data.bmp"), 200),
}


@pytest.mark.parametrize(
    ("asked", "status"), EVERY_KIND_OF_ANSWER.values(), ids=EVERY_KIND_OF_ANSWER.keys()
)
def test_after_any_answer_the_connection_is_in_step_or_closed(
    server: LiveServer, etag: str, asked: bytes, status: int
) -> None:
    (server.store / "gone.txt").write_bytes(TEXT)
    with Wire(server) as wire:
        answer = wire.ask(asked)
        assert answer.status == status
        if answer.closes():
            assert wire.ended()
        else:
            assert wire.ask(get("Range: bytes=7-11")).body == BYTES[7:12]


def test_a_download_by_http_1_0_ends_with_the_connection(server: LiveServer, etag: str) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /download/data.bmp HTTP/1.0\r\n\r\n")
        assert wire.answer().body == BYTES
        assert wire.ended()


def test_the_list_by_http_1_0_is_not_chunked(server: LiveServer, etag: str) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /download HTTP/1.0\r\n\r\n")
        answer = wire.answer()
        assert "Transfer-Encoding" not in answer.headers
        assert len(answer.json()) == 1


def test_a_client_that_disconnects_during_a_download_leaves_no_open_file(
    server: LiveServer,
) -> None:
    with (server.store / "huge.bmp").open("wb") as file:
        file.truncate(1 << 30)
    for asked in (get(name="huge.bmp"), get("Range: bytes=0-1,9-", name="huge.bmp")):
        with Wire(server) as wire:
            wire.send(asked)
            assert wire.socket.recv(12) == b"HTTP/1.1 20" + (b"6" if b"Range" in asked else b"0")
            wire.reset()
    huge = str(server.store / "huge.bmp")
    eventually(lambda: not any(huge in open_files(pid) for pid in server.workers()))
    assert "Traceback" not in server.log()
