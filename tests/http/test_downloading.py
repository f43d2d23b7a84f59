"""Downloading: headers, conditions in their order, ranges of every shape, deletion."""

import email
import email.policy
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, ask, eventually, form, form_request, part, request

TEXT = b"some text\n"
THEN = 1_500_000_000
BYTES = random.Random(7).randbytes(100_000)
SIZE = len(BYTES)


def date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def get(*fields: str, method: str = "GET", name: str = "data.bmp") -> bytes:
    return request(f"{method} /download/{name}", *fields)


@pytest.fixture
def etag(server: LiveServer) -> str:
    """The ETag of data.bmp, which was put into the store at THEN and has BYTES."""
    (server.store / "data.bmp").write_bytes(BYTES)
    os.utime(server.store / "data.bmp", (THEN, THEN))
    return ask(server, get()).headers["ETag"]


# Headers


def test_a_file_comes_with_all_that_a_client_needs(client: httpx.Client, sample) -> None:
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
    ignored = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in ignored} == {
        k: v for k, v in got.headers.items() if k not in ignored
    }


def test_the_etag_comes_from_the_content(client: httpx.Client) -> None:
    answers = [
        client.put("/upload/a.txt", content=b"one"),
        client.put("/upload/b.txt", content=b"one"),
        client.put("/upload/c.txt", content=b"two"),
    ]
    one, same, other = (answer.headers["ETag"] for answer in answers)
    assert one == same != other


def test_a_text_names_its_encoding_only_if_it_is_certain(client: httpx.Client) -> None:
    client.put("/upload/a.txt", content="Grüße\n".encode())
    client.put("/upload/b.txt", content="Grüße\n".encode("latin-1"))
    assert client.get("/download/a.txt").headers["Content-Type"] == "text/plain; charset=utf-8"
    assert client.get("/download/b.txt").headers["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    "name",
    ["a.txt", "two words.txt", "Übersicht.txt", "日本語.txt", '"q".txt', "100%41.txt", "a;b.txt"],
)
def test_the_name_to_save_under_survives(client: httpx.Client, server, name: str) -> None:
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
def test_inline_shows_what_is_harmless_to_show(
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
def test_what_could_run_in_a_browser_is_inert(
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


def test_html_in_a_text_file_stays_text(wire: Wire) -> None:
    html = b"<!doctype html><script>alert(1)</script>\n"
    stored = wire.ask(request("PUT /upload/a.txt", "Content-Type: text/html", body=html))
    if stored.status == 201:
        answer = wire.ask(request("GET /download/a.txt?inline=1"))
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


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


def test_a_file_that_was_replaced_in_the_directory_is_another_one(
    wire: Wire, server: LiveServer
) -> None:
    before = wire.ask(request("PUT /upload/a.txt", body=TEXT))
    (server.store / "new").write_bytes(TEXT.upper())
    (server.store / "new").rename(server.store / "a.txt")
    assert_another(before, wire.ask(request("GET /download/a.txt")))


def test_a_file_that_was_changed_in_place_has_not_its_old_digest(
    wire: Wire, server: LiveServer
) -> None:
    before = wire.ask(request("PUT /upload/a.txt", body=TEXT))
    (server.store / "a.txt").write_bytes(TEXT.upper())
    assert_another(before, wire.ask(request("GET /download/a.txt")))


def test_a_link_out_of_the_directory_leads_nowhere(
    wire: Wire, server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (server.store / "a.txt").symlink_to(tmp_path / "secret.txt")
    assert wire.ask(request("GET /download/a.txt")).status == 404
    assert wire.ask(request("GET /download")).json() == []


def test_a_directory_in_the_store_is_no_file(wire: Wire, server: LiveServer) -> None:
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
def test_a_file_from_any_time_is_served_and_listed(
    wire: Wire, server: LiveServer, seconds: int
) -> None:
    (server.store / "a.txt").write_bytes(TEXT)
    os.utime(server.store / "a.txt", (seconds, seconds))
    answer = wire.ask(request("GET /download/a.txt"))
    assert answer.body == TEXT
    assert answer.headers["Last-Modified"] == date(seconds)
    assert len(wire.ask(request("GET /download")).json()) == 1
    assert wire.ask(request("GET /upload")).status == 200


def test_one_file_from_beyond_the_calendar_does_not_hide_the_others(
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


def test_validators_outlive_a_restart(start_server: Callable[..., LiveServer]) -> None:
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


# Conditions

RIGHT = "RIGHT"
CONDITIONS = [
    # If-Match
    (["If-Match: RIGHT"], 200),
    (["If-Match: *"], 200),
    (['If-Match: "x", RIGHT , "y"'], 200),
    (['If-Match: "x"'], 412),
    (["If-Match: W/RIGHT"], 412),
    (["If-Match: nonsense"], 412),
    # If-Unmodified-Since
    ([f"If-Unmodified-Since: {date(THEN)}"], 200),
    ([f"If-Unmodified-Since: {date(THEN + 1)}"], 200),
    ([f"If-Unmodified-Since: {date(THEN - 1)}"], 412),
    (["If-Unmodified-Since: yesterday"], 200),
    (["If-Match: RIGHT", f"If-Unmodified-Since: {date(THEN - 1)}"], 200),
    (['If-Match: "x"', f"If-Unmodified-Since: {date(THEN + 1)}"], 412),
    # If-None-Match
    (["If-None-Match: RIGHT"], 304),
    (["If-None-Match: W/RIGHT"], 304),
    (["If-None-Match: *"], 304),
    (['If-None-Match: "x",RIGHT'], 304),
    (['If-None-Match: "x, RIGHT"'.replace("RIGHT", "y")], 200),
    (['If-None-Match: "x"'], 200),
    (["If-None-Match: nonsense"], 200),
    # If-Modified-Since
    ([f"If-Modified-Since: {date(THEN)}"], 304),
    ([f"If-Modified-Since: {date(THEN + 1)}"], 304),
    ([f"If-Modified-Since: {date(THEN - 1)}"], 200),
    (["If-Modified-Since: yesterday"], 200),
    (["If-Modified-Since: Friday, 14-Jul-17 02:40:00 GMT"], 304),
    (["If-Modified-Since: Fri Jul 14 02:40:00 2017"], 304),
    (["If-None-Match: RIGHT", f"If-Modified-Since: {date(THEN - 1)}"], 304),
    (['If-None-Match: "x"', f"If-Modified-Since: {date(THEN + 1)}"], 200),
    # what comes first
    (['If-Match: "x"', "If-None-Match: RIGHT"], 412),
    (["If-Match: RIGHT", "If-None-Match: RIGHT"], 304),
    ([f"If-Unmodified-Since: {date(THEN - 1)}", "If-None-Match: RIGHT"], 412),
    ([f"If-Unmodified-Since: {date(THEN - 1)}", f"If-Modified-Since: {date(THEN)}"], 412),
    # and Range after all of them
    (["Range: bytes=0-9", 'If-Match: "x"'], 412),
    (["Range: bytes=0-9", "If-Match: RIGHT"], 206),
    (["Range: bytes=0-9", "If-None-Match: RIGHT"], 304),
    (["Range: bytes=0-9", 'If-None-Match: "x"'], 206),
    (["Range: bytes=0-9", f"If-Modified-Since: {date(THEN)}"], 304),
    ([f"Range: bytes={SIZE}-", "If-None-Match: RIGHT"], 304),
    ([f"Range: bytes={SIZE}-", 'If-Match: "x"'], 412),
    ([f"Range: bytes={SIZE}-", "If-Match: RIGHT"], 416),
    # If-Range
    (["Range: bytes=0-9", "If-Range: RIGHT"], 206),
    (["Range: bytes=0-9", 'If-Range: "x"'], 200),
    (["Range: bytes=0-9", "If-Range: W/RIGHT"], 200),
    (["Range: bytes=0-9", f"If-Range: {date(THEN)}"], 206),
    (["Range: bytes=0-9", f"If-Range: {date(THEN - 1)}"], 200),
    (["Range: bytes=0-9", f"If-Range: {date(THEN + 1)}"], 200),
    (["Range: bytes=0-9", "If-Range: nonsense"], 200),
    ([f"Range: bytes={SIZE}-", 'If-Range: "x"'], 200),
    ([f"Range: bytes={SIZE}-", "If-Range: RIGHT"], 416),
    (["If-Range: RIGHT"], 200),
]


@pytest.mark.parametrize(
    ("fields", "status"), CONDITIONS, ids=[", ".join(fields) for fields, _ in CONDITIONS]
)
def test_conditions_are_held_in_their_order(
    wire: Wire, etag: str, fields: list[str], status: int
) -> None:
    fields = [field.replace(RIGHT, etag) for field in fields]
    answer = wire.ask(get(*fields))
    assert answer.status == status
    if status == 200:
        assert answer.body == BYTES
    if status == 206:
        assert answer.body == BYTES[:10]
    if status in (200, 206, 304):
        assert answer.headers["ETag"] == etag
    without_range = {206: 200, 416: 200}.get(status, status)
    head = wire.ask(get(*fields, method="HEAD"))
    assert head.status == without_range
    if without_range == 200:
        assert head.headers["Content-Length"] == str(SIZE)
        assert "Content-Range" not in head.headers


def test_a_304_has_what_a_cache_needs_and_no_body(wire: Wire, etag: str) -> None:
    whole = wire.ask(get())
    answer = wire.ask(get(f"If-None-Match: {etag}"))
    assert answer.headers["ETag"] == etag
    assert "Date" in answer.headers
    for field in ("Cache-Control", "Vary", "Expires"):
        assert answer.headers.get(field) == whole.headers.get(field)
    assert wire.ask(get()).body == BYTES


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 204),
        (["If-Match: RIGHT"], 204),
        (["If-Match: *"], 204),
        (['If-Match: "x"'], 412),
        (["If-Match: W/RIGHT"], 412),
        ([f"If-Unmodified-Since: {date(THEN)}"], 204),
        ([f"If-Unmodified-Since: {date(THEN - 1)}"], 412),
        (["If-None-Match: *"], 412),
    ],
)
def test_a_deletion_is_conditional_too(
    wire: Wire, server: LiveServer, etag: str, fields: list[str], status: int
) -> None:
    answer = wire.ask(get(*(f.replace(RIGHT, etag) for f in fields), method="DELETE"))
    assert (answer.status, answer.body) == (status, b"") or answer.code() == "precondition-failed"
    assert answer.status == status
    assert server.published() == ([] if status == 204 else ["data.bmp"])
    assert wire.ask(get()).status == (404 if status == 204 else 200)


def test_what_was_deleted_may_be_uploaded_again(wire: Wire) -> None:
    for data in (b"one\n", b"two\n"):
        assert wire.ask(request("PUT /upload/a.txt", body=data)).status == 201
        assert wire.ask(request("GET /download/a.txt")).body == data
        assert wire.ask(request("DELETE /download/a.txt")).status == 204
        assert wire.ask(request("DELETE /download/a.txt")).status == 404


def test_a_download_under_way_outlives_the_deletion(server: LiveServer) -> None:
    data = BYTES * 200
    (server.store / "data.bmp").write_bytes(data)
    with Wire(server) as wire:
        wire.send(get())
        assert ask(server, get(method="DELETE")).status == 204
        answer = wire.answer()
        assert (answer.status, answer.body) in ((200, data), (404, answer.body))


# Ranges


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=1-1", 1, 1),
        ("bytes=0-", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-500", SIZE - 500, SIZE - 1),
        (f"bytes=-{SIZE}", 0, SIZE - 1),
        (f"bytes=-{SIZE + 1}", 0, SIZE - 1),
        ("bytes=-99999999999999999999999999", 0, SIZE - 1),
        (f"bytes=10-{SIZE}", 10, SIZE - 1),
        ("bytes=10-99999999999999999999999999", 10, SIZE - 1),
        (f"bytes=0-{SIZE - 1}", 0, SIZE - 1),
        ("bytes=007-0008", 7, 8),
        ("Bytes=3-4", 3, 4),
        ("bytes=3-4,", 3, 4),
        ("bytes=,3-4", 3, 4),
        ("bytes=0-9,5-14", 0, 14),
        ("bytes=5-14,0-9", 0, 14),
        ("bytes=0-9,2-3", 0, 9),
        ("bytes=0-9,0-9", 0, 9),
        (f"bytes=3-4,{SIZE}-", 3, 4),
        (f"bytes={SIZE}-,3-4", 3, 4),
        ("bytes=3-4,-0", 3, 4),
    ],
)
def test_a_range_is_sent_alone(wire: Wire, etag: str, asked: str, first: int, last: int) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["ETag"] == etag
    assert answer.headers["Last-Modified"] == date(THEN)
    assert answer.headers["Content-Type"] == "image/bmp"
    assert answer.body == BYTES[first : last + 1]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=9-0",
        "bytes=0-9,9-0",
        "bytes=0-9,x",
        "bytes=1-2-3",
        "bytes=--5",
        "bytes=+1-2",
        "bytes=0x0-0x9",
        "bytes=1_0-2_0",
        "bytes=1.0-2",
        "bytes=0 - 9",
        "bytes 0-9",
        "bytes",
        "=0-9",
        "0-9",
        "lines=0-9",
        "none",
        "bytes=" + ",".join(f"{i * 4}-{i * 4 + 1}" for i in range(500)),
        "bytes=" + "0-," * 1200,
    ],
    ids=lambda asked: asked[:20],
)
def test_a_range_that_makes_no_sense_gives_the_whole_file(
    wire: Wire, etag: str, asked: str
) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert answer.status == 200
    assert answer.body == BYTES
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE}-{SIZE + 9}",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        f"bytes={SIZE}-,-0,{SIZE + 1}-",
    ],
)
def test_only_a_range_past_the_end_cannot_be_satisfied(wire: Wire, etag: str, asked: str) -> None:
    answer = wire.ask(get(f"Range: {asked}"))
    assert (answer.status, answer.code()) == (416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
    assert wire.ask(get(f"Range: {asked}", method="HEAD")).status == 200


def test_an_empty_file_has_no_ranges(wire: Wire, server: LiveServer) -> None:
    (server.store / "empty.txt").write_bytes(b"")
    whole = wire.ask(get(name="empty.txt"))
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, b"", "0")
    answer = wire.ask(get("Range: bytes=0-", name="empty.txt"))
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */0"
    assert wire.ask(get("Range: bytes=-5", name="empty.txt")).status == 200


def parts_of(answer: Answer) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Range and bytes of each part, read by the standard library."""
    assert answer.status == 206
    kind = answer.headers["Content-Type"]
    assert kind.startswith("multipart/byteranges")
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.body)
    assert not message.defects
    assert message.is_multipart()
    return [
        (str(p["Content-Type"]), str(p["Content-Range"]), p.get_payload(decode=True))
        for p in message.get_payload()
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0-0,-1", [(0, 0), (SIZE - 1, SIZE - 1)]),
        ("0-9,20-29", [(0, 9), (20, 29)]),
        ("20-29 , 0-9", [(20, 29), (0, 9)]),
        ("20-29\t,\t0-9", [(20, 29), (0, 9)]),
        (f"0-9,{SIZE - 5}-{SIZE + 5}", [(0, 9), (SIZE - 5, SIZE - 1)]),
        (f"0-9,{SIZE}-,50-59", [(0, 9), (50, 59)]),
        ("0-9,100-199,150-249", [(0, 9), (100, 249)]),
        ("99000-,500-1499,-500", [(99000, SIZE - 1), (500, 1499)]),
        ("0-49999,50001-", [(0, 49999), (50001, SIZE - 1)]),
        (
            ",".join(f"{at}-{at + 99}" for at in range(0, 60_000, 1000)),
            [(at, at + 99) for at in range(0, 60_000, 1000)],
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_several_ranges_are_sent_as_parts(
    wire: Wire, etag: str, asked: str, expected: list[tuple[int, int]]
) -> None:
    answer = wire.ask(get(f"Range: bytes={asked}"))
    assert "Content-Range" not in answer.headers
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["ETag"] == etag
    assert parts_of(answer) == [
        ("image/bmp", f"bytes {first}-{last}/{SIZE}", BYTES[first : last + 1])
        for first, last in expected
    ]


def test_random_ranges_together_are_the_asked_bytes(wire: Wire, etag: str) -> None:
    chance = random.Random(11)
    for _ in range(100):
        pairs = [sorted(chance.sample(range(SIZE), 2)) for _ in range(chance.randint(1, 6))]
        answer = wire.ask(get("Range: bytes=" + ",".join(f"{a}-{b}" for a, b in pairs)))
        if answer.status == 200:
            assert answer.body == BYTES
            continue
        if "Content-Range" in answer.headers:
            found = [("", answer.headers["Content-Range"], answer.body)]
        else:
            found = parts_of(answer)
        covered = set()
        for _kind, content_range, data in found:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
            assert match
            first, last, size = map(int, match.groups())
            assert size == SIZE
            assert data == BYTES[first : last + 1]
            assert covered.isdisjoint(range(first, last + 1))
            covered.update(range(first, last + 1))
        assert covered == set().union(*(range(a, b + 1) for a, b in pairs))


def test_a_range_costs_what_it_sends_wherever_it_lies(
    server: LiveServer, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(WORKERS="1")
    with (server.store / "huge.bmp").open("wb") as file:
        file.seek(64 << 30)
        file.write(b"the end")
    (pid,) = server.workers()
    with Wire(server) as wire:
        wire.ask(get("Range: bytes=0-6", name="huge.bmp"))
        before = cpu_seconds(pid)
        for _ in range(20):
            assert wire.ask(get("Range: bytes=-7", name="huge.bmp")).body == b"the end"
            several = wire.ask(get("Range: bytes=-7,0-1,40000000000-40000000009", name="huge.bmp"))
            assert [len(data) for *_, data in parts_of(several)] == [7, 2, 10]
        assert cpu_seconds(pid) - before < 1


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def test_http_1_0_gets_its_file_and_the_end(server: LiveServer, etag: str) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /download/data.bmp HTTP/1.0\r\n\r\n")
        assert wire.answer().body == BYTES
        assert wire.ended()


def test_http_1_0_gets_the_list_without_chunks(server: LiveServer, etag: str) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /download HTTP/1.0\r\n\r\n")
        answer = wire.answer()
        assert "Transfer-Encoding" not in answer.headers
        assert len(answer.json()) == 1


def test_a_client_that_leaves_in_mid_download_is_let_go(server: LiveServer) -> None:
    with (server.store / "huge.bmp").open("wb") as file:
        file.truncate(1 << 30)
    for asked in (get(name="huge.bmp"), get("Range: bytes=0-1,9-", name="huge.bmp")):
        with Wire(server) as wire:
            wire.send(asked)
            assert wire.socket.recv(12) == b"HTTP/1.1 20" + (b"6" if b"Range" in asked else b"0")
            wire.reset()
    for pid in server.workers():
        wait_until_closed(pid, server.store / "huge.bmp")
    assert "Traceback" not in server.log()


def wait_until_closed(pid: int, path: Path) -> None:
    def is_closed() -> bool:
        open_files = set()
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                open_files.add(descriptor.readlink())
            except FileNotFoundError:
                continue
        return path not in open_files

    eventually(is_closed)
