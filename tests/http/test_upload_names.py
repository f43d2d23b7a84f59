"""Names of uploads: which are accepted, which are refused, and which are the same."""

import unicodedata
from urllib.parse import quote

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Wire, ask, assert_holds_only, form, form_request, part, request

TEXT = b"some text\n"


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


GOOD_NAMES = [
    "a.txt",
    "UPPER.TXT",
    "two.dots.txt",
    "two..dots.txt",
    "archive.pdf.txt",
    "with space.txt",
    "  not.txt".strip() + " .txt",
    "-rf.txt",
    "~.txt",
    "a+b.txt",
    "a%2Fb.txt",
    "100%.txt",
    "50%41.txt",
    "q?x=1#y&z;.txt",
    'it\'s "quoted".txt',
    "<b>.txt",
    "a:b*c|d.txt",
    "$HOME`id`.txt",
    "CONSOLE.txt",
    "COM10.txt",
    "Ünïcödé.txt",
    "日本語.txt",
    "עברית.txt",
    "👩‍👩‍👧.txt",
    "İı.txt",
    "a" * 251 + ".txt",
    "é" * 125 + "a.txt",
    "😀" * 62 + "abc.txt",
]
BAD_NAMES = {
    "one byte too long": "a" * 252 + ".txt",
    "too long in bytes": "é" * 126 + ".txt",
    "hidden": ".a.txt",
    "nothing but the extension": ".txt",
    "a dot": ".",
    "two dots": "..",
    "a trailing dot": "a.txt.",
    "a leading space": " a.txt",
    "a trailing space": "a.txt ",
    "nothing but a space": " ",
    "a slash": "a/b.txt",
    "an upward path": "../a.txt",
    "a backslash": "a\\b.txt",
    "an upward backslash": "..\\a.txt",
    "NUL": "a\0.txt",
    "NUL at the end": "a.txt\0",
    "a line feed": "a\nb.txt",
    "a carriage return": "a\rb.txt",
    "a tab": "a\tb.txt",
    "an escape": "a\x1b[31m.txt",
    "DEL": "a\x7f.txt",
    "a C1 control": "a\x85.txt",
    "CON": "CON.txt",
    "con": "con.txt",
    "nul": "nul.txt",
    "PRN with two extensions": "PRN.tar.txt",
    "AUX": "Aux.txt",
    "COM1": "COM1.txt",
    "lpt9": "lpt9.txt",
    "COM¹": "COM¹.txt",
    "CON with a space": "CON .txt",
    "text from right to left": "a\u202etxt.exe.txt",
    "a space of no width": "a\u200b.txt",
    "a joiner that joins nothing": "a\u200d.txt",
}


@pytest.mark.parametrize("name", GOOD_NAMES, ids=lambda name: ascii(name)[:30])
def test_a_valid_name_is_kept_unchanged(wire: Wire, server: LiveServer, name: str) -> None:
    path = quote(name, safe="")
    answer = wire.ask(request(f"PUT /upload/{path}", body=TEXT))
    assert answer.status == 201, answer.body
    assert answer.json()["filename"] == name
    assert server.published() == [name]
    location = httpx.URL(answer.headers["Location"]).raw_path.decode()
    assert wire.ask(request(f"GET {location}")).body == TEXT
    assert wire.ask(request(f"DELETE {location}")).status == 204
    escaped = name.replace('"', "%22")
    answer = wire.ask(form_request(form(part("file", TEXT, escaped))))
    assert answer.status == 201, answer.body
    if '"' not in name:
        assert server.published() == [name]


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_an_invalid_name_is_refused_with_the_reason(
    wire: Wire, server: LiveServer, name: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/{quote(name, safe='')}", body=TEXT))
    assert (answer.status, answer.code()) == (400, "bad-name"), answer.body
    assert len(answer.json()["detail"]) > 10
    assert_holds_only(server, [])


@pytest.mark.parametrize(
    "path",
    [
        "%FF.txt",
        "a%C3.txt",
        "%C0%AE%C0%AE.txt",
        "%ED%A0%80.txt",
        "%2e%2e",
        "%2E%2E%2Fa.txt",
        "a%2fb.txt",
        "a%5cb.txt",
        "..%2f..%2fa.txt",
        "a%00.txt",
        "a.txt%00.png",
        "%0d%0aSet-Cookie:%20a.txt",
    ],
)
def test_an_invalid_name_is_refused_however_it_is_encoded(
    wire: Wire, server: LiveServer, path: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/{path}", body=TEXT))
    assert (answer.status, answer.code()) == (400, "bad-name")
    assert_holds_only(server, [])


@pytest.mark.parametrize("path", ["a/b.txt", "../a.txt", "./a.txt", "/a.txt", "a.txt/", "a//b.txt"])
def test_an_upload_to_a_path_of_several_segments_stores_nothing(
    wire: Wire, server: LiveServer, path: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/{path}", body=TEXT))
    assert answer.code() in ("bad-name", "not-found")
    assert_holds_only(server, [])


@pytest.mark.parametrize("raw", ["Ü.txt".encode(), "日.txt".encode()])
def test_a_raw_utf_8_name_is_refused_or_kept_unchanged(
    wire: Wire, server: LiveServer, raw: bytes
) -> None:
    answer = wire.ask(request(b"PUT /upload/" + raw, body=TEXT))
    assert answer.status in (201, 400)  # RFC 3986 has no such character
    assert server.published() == ([raw.decode()] if answer.status == 201 else [])


def test_a_percent_encoded_name_is_decoded_once(wire: Wire, server: LiveServer) -> None:
    answer = wire.ask(request("PUT /upload/a%252Fb%2541.txt", body=TEXT))
    assert answer.json()["filename"] == "a%2Fb%41.txt"
    assert answer.json()["url"].endswith("/download/a%252Fb%2541.txt")
    assert server.published() == ["a%2Fb%41.txt"]
    assert wire.ask(request("GET /download/a%252Fb%2541.txt")).body == TEXT
    assert wire.ask(request("GET /download/a%2Fb%41.txt")).status == 404


@pytest.mark.parametrize("name", ["Übér.txt", "が.txt", "한글.txt", "é" * 125 + ".txt"])
def test_nfc_and_nfd_of_a_name_are_the_same_name(wire: Wire, server: LiveServer, name: str) -> None:
    decomposed = quote(nfd(name))
    answer = wire.ask(request(f"PUT /upload/{decomposed}", body=TEXT))
    assert answer.status == 201
    assert answer.json()["filename"] == name
    assert server.published() == [name]
    for form_of_it in (decomposed, quote(name)):
        assert wire.ask(request(f"GET /download/{form_of_it}")).body == TEXT
        assert ask(server, request(f"PUT /upload/{form_of_it}", body=TEXT)).status == 409


def test_names_differ_by_case(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request("PUT /upload/a.txt", body=TEXT)).status == 201
    assert wire.ask(request("PUT /upload/A.txt", body=TEXT)).status == 201
    assert wire.ask(request("PUT /upload/a.TXT", body=TEXT)).status == 201
    assert_holds_only(server, ["A.txt", "a.TXT", "a.txt"])


def test_the_query_is_no_part_of_the_name(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request("PUT /upload/a.txt?name=b.exe", body=TEXT)).status == 201
    assert_holds_only(server, ["a.txt"])


def test_a_request_target_in_absolute_form_is_accepted(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request(f"PUT {server.url}/upload/a.txt", body=TEXT)).status == 201
    assert_holds_only(server, ["a.txt"])
