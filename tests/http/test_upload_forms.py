"""Forms: file names, fields, boundaries, and what is refused."""

import re
import unicodedata

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Wire, ask, assert_holds_only, form, form_request, part

TEXT = b"some text\n"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.txt", "a.txt"),
        ("C:\\\\fakepath\\\\a.txt", "a.txt"),
        ("C:\\Documents\\new\\a.txt", "a.txt"),
        ("/home/user/a.txt", "a.txt"),
        ("../../a.txt", "a.txt"),
        ("..\\..\\a.txt", "a.txt"),
        ("Übersicht.txt", "Übersicht.txt"),
        (unicodedata.normalize("NFD", "Übersicht.txt"), "Übersicht.txt"),
        ("a; b=c.txt", "a; b=c.txt"),
        ('a\\"b\\".txt', 'a"b".txt'),
        ("100%.txt", "100%.txt"),
        ("semi;colon,comma.txt", "semi;colon,comma.txt"),
    ],
)
def test_the_name_in_a_form_is_its_last_segment(
    wire: Wire, server: LiveServer, sent: str, kept: str
) -> None:
    answer = wire.ask(form_request(form(part("file", TEXT, sent))))
    assert answer.status == 201, answer.body
    assert server.published() == [kept]


def test_a_name_in_a_form_may_do_without_quotes(wire: Wire, server: LiveServer) -> None:
    body = form(b"Content-Disposition: form-data; name=file; filename=a.txt\r\n\r\n" + TEXT)
    assert wire.ask(form_request(body)).status == 201
    assert server.published() == ["a.txt"]


@pytest.mark.parametrize(
    "name", ["..", "a\tb.txt", ".hidden.txt", "/home/user/", "C:\\", "CON.txt", "a" * 252 + ".txt"]
)
def test_a_bad_name_in_a_form_is_refused(wire: Wire, server: LiveServer, name: str) -> None:
    answer = wire.ask(form_request(form(part("file", TEXT, name))))
    assert answer.code() in ("bad-name", "bad-form", "no-file")
    assert answer.status == 400
    assert_holds_only(server, [])


def test_a_name_in_a_form_that_is_not_utf_8_is_refused(wire: Wire, server: LiveServer) -> None:
    body = form(b'Content-Disposition: form-data; name="file"; filename="\xfc.txt"\r\n\r\n' + TEXT)
    answer = wire.ask(form_request(body))
    assert answer.status == 400
    assert answer.code() in ("bad-name", "bad-form")
    assert_holds_only(server, [])


@pytest.mark.parametrize(
    "parts",
    [
        [part("file", TEXT, "a.txt"), part("comment", b"hello")],
        [part("comment", b"hello"), part("file", TEXT, "a.txt")],
        [part("b", b"x"), part("file", TEXT, "a.txt"), part("c", b"y"), part("c", b"z")],
        [part("file", TEXT, "a.txt", "Content-Type: image/png", "X-Other: 1")],
        [part("file", TEXT, "a.txt", "Content-Type: text/plain; charset=latin-1")],
        [part("file", TEXT, "a.txt"), part("other", b"", "")],
    ],
    ids=[
        "file first",
        "file last",
        "file amid",
        "wrong type",
        "type with a parameter",
        "another field in which no file was chosen",
    ],
)
def test_other_fields_and_claims_of_a_form_do_not_matter(
    wire: Wire, server: LiveServer, parts: list[bytes]
) -> None:
    assert wire.ask(form_request(form(*parts))).status == 201
    assert_holds_only(server, ["a.txt"])
    assert (server.store / "a.txt").read_bytes() == TEXT


@pytest.mark.parametrize("second", ["b.txt", "a.txt", "b.exe"])
@pytest.mark.parametrize("between", [[], [part("comment", b"hello")]], ids=["", "a field between"])
def test_two_files_in_a_form_store_neither(
    wire: Wire, server: LiveServer, second: str, between: list[bytes]
) -> None:
    parts = [part("file", TEXT, "a.txt"), *between, part("file", TEXT, second)]
    answer = wire.ask(form_request(form(*parts)))
    assert (answer.status, answer.code()) == (400, "one-file-only")
    assert_holds_only(server, [])


@pytest.mark.parametrize(
    "boundary",
    [
        "X",
        "-",
        "--",
        "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        "'()+_,-./:=?",
        "0" * 70,
        "with spaces in it",
        "file",
    ],
)
@pytest.mark.parametrize("quoted", [True, False])
def test_any_boundary_will_do(wire: Wire, server: LiveServer, boundary: str, quoted: bool) -> None:
    if not quoted and not re.fullmatch(r"[A-Za-z0-9'+_.-]+", boundary):
        pytest.skip("such a boundary has to be quoted")
    asked = form_request(
        form(part("file", TEXT, "a.txt"), boundary=boundary.encode()),
        boundary=f'"{boundary}"' if quoted else boundary,
    )
    answer = wire.ask(asked)
    assert answer.status == 201, answer.body
    assert (server.store / "a.txt").read_bytes() == TEXT


@pytest.mark.parametrize(
    "data",
    [
        b"--XboundaryX\n",
        b"text --XboundaryX-- text\n",
        b"text\r\n--XboundaryY\r\n",
        b"text\r\n--Xboundary",
        b"text\r\n--",
        b"text\r\n-",
        b"text\r\n",
        b"text\r",
        b"text\n",
        b"\r\n\r\n\r\n",
        b"\n--XboundaryX--\n",
        b"text\r\r\n--Xboundary\r\n",
        b"text\r\n--XboundaryX--X\r\n",
        b"text\r\n--XboundaryXX\r\n",
        b"text\r\n--XboundaryX\n",
    ],
    ids=repr,
)
def test_what_looks_like_a_boundary_and_is_none_belongs_to_the_file(
    wire: Wire, server: LiveServer, data: bytes
) -> None:
    answer = wire.ask(form_request(form(part("file", data, "a.txt"))))
    assert answer.status == 201, answer.body
    assert (server.store / "a.txt").read_bytes() == data


def test_a_boundary_is_found_wherever_the_blocks_of_the_body_end(server: LiveServer) -> None:
    overhead = len(form(part("file", b"", "a.txt")))
    for size in (1 << 16, 1 << 17, 1 << 18):
        for end in range(-8, overhead + 8, 5):
            data = b"\r\n--Xb" * ((size - end) // 6) + b"x" * ((size - end) % 6)
            server.clear()
            answer = ask(server, form_request(form(part("file", data, "a.txt"))))
            assert answer.status == 201
            assert (server.store / "a.txt").read_bytes() == data


def test_text_around_a_form_is_ignored(wire: Wire, server: LiveServer) -> None:
    body = form(part("file", TEXT, "a.txt")) + b"an epilogue\r\n"
    assert wire.ask(form_request(body)).status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_spaces_after_a_boundary_are_padding(wire: Wire, server: LiveServer) -> None:
    body = form(part("file", TEXT, "a.txt")).replace(b"--XboundaryX\r\n", b"--XboundaryX  \r\n", 1)
    answer = wire.ask(form_request(body))
    # RFC 2046 section 5.1.1 allows it, no client does it.
    assert answer.status == 201 or answer.code() == "bad-form"
    assert_holds_only(server, ["a.txt"] if answer.status == 201 else [])


def test_a_form_with_a_thousand_fields_is_refused(wire: Wire, server: LiveServer) -> None:
    parts = [part(f"f{i}", b"x") for i in range(1000)]
    answer = wire.ask(form_request(form(*parts, part("file", TEXT, "a.txt"))))
    assert (answer.status, answer.code()) == (400, "bad-form")
    assert_holds_only(server, [])


def test_a_form_with_a_field_larger_than_any_field_is_refused(
    wire: Wire, server: LiveServer
) -> None:
    body = form(part("comment", b"x" * 1_000_000), part("file", TEXT, "a.txt"))
    answer = wire.ask(form_request(body))
    assert (answer.status, answer.code()) == (400, "bad-form")
    assert_holds_only(server, [])
