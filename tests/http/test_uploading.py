"""Uploading: raw and chunked bodies, forms, digests, conditions, names, sizes."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest

from tests.support.servers import LiveServer, S3LiveServer
from tests.support.wire import (
    Wire,
    ask,
    assert_holds_only,
    chunked,
    form,
    form_request,
    part,
    request,
    sha256,
)

TEXT = b"some text\n"


def sha512(data: bytes) -> str:
    return f"sha-512=:{base64.b64encode(hashlib.sha512(data).digest()).decode()}:"


# The answer


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_success_tells_all_about_the_file(
    client: httpx.Client, server: LiveServer, method: str
) -> None:
    answer = client.request(method, "/upload/my%20notes.txt", content=TEXT)
    url = f"{server.url}/download/my%20notes.txt"
    assert answer.status_code == 201
    assert answer.headers["Location"] == url
    assert answer.headers["Repr-Digest"] == sha256(TEXT)
    assert re.fullmatch(r'"[^"]+"', answer.headers["ETag"])
    assert answer.headers["Content-Type"] == "application/json"
    record = answer.json()
    modified = datetime.strptime(record.pop("modified"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - modified) < timedelta(minutes=1)
    assert record == {
        "filename": "my notes.txt",
        "url": url,
        "size": len(TEXT),
        "type": "text/plain",
        "digest": sha256(TEXT),
    }
    file = client.get(url)
    assert file.content == TEXT
    assert file.headers["ETag"] == answer.headers["ETag"]
    # Listing a bucket is one request, which tells nothing of digests.
    listed = {"digest": None} if isinstance(server, S3LiveServer) else {}
    assert client.get("/download").json() == [answer.json() | listed]


def test_answers_in_json_are_nothing_else_and_are_not_kept(client: httpx.Client) -> None:
    answers = {
        "no-store": [client.put("/upload/a.txt", content=TEXT), client.get("/healthz")],
        "no-cache": [client.get("/download"), client.get("/download?limit=1")],
    }
    for policy, given in answers.items():
        for answer in given:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == policy


def test_a_form_is_answered_as_raw_bytes_are(client: httpx.Client) -> None:
    raw = client.put("/upload/a.txt", content=TEXT)
    sent = client.post("/upload", files={"file": ("b.txt", TEXT)})
    assert sent.status_code == 201
    assert sent.headers["ETag"] == raw.headers["ETag"]
    assert sent.headers["Repr-Digest"] == sha256(TEXT)
    assert sent.headers["Location"].endswith("/download/b.txt")
    assert sent.json().keys() == raw.json().keys()


@pytest.mark.parametrize(
    "claim", ["application/json", "text/html", "application/x-www-form-urlencoded", "nonsense", ""]
)
def test_the_type_that_a_raw_body_claims_does_not_matter(wire: Wire, claim: str) -> None:
    answer = wire.ask(request("POST /upload/a.txt", f"Content-Type: {claim}", body=TEXT))
    assert answer.status == 201
    assert answer.json()["type"] == "text/plain"


def test_a_raw_body_that_claims_to_be_a_form_is_stored_as_it_is(
    wire: Wire, server: LiveServer
) -> None:
    body = form(part("file", TEXT, "b.txt"))
    answer = wire.ask(form_request(body, line="POST /upload/a.txt"))
    assert answer.status == 201
    assert (server.store / "a.txt").read_bytes() == body


# Frames


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    "body",
    [
        chunked(TEXT),
        chunked(*(TEXT[i : i + 1] for i in range(len(TEXT)))),
        b"A;name=value\r\n" + TEXT + b"\r\n0;last\r\n\r\n",
        b"000a\r\n" + TEXT + b"\r\n000\r\n\r\n",
        b"a\r\n" + TEXT + b"\r\n0\r\nTrailer-Field: x\r\n\r\n",
    ],
    ids=["one chunk", "a chunk a byte", "extensions", "leading zeros", "a trailer"],
)
def test_chunked_bodies_are_taken(wire: Wire, server: LiveServer, method: str, body: bytes) -> None:
    asked = request(f"{method} /upload/a.txt", "Transfer-Encoding: chunked", body=body)
    assert wire.ask(asked).status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT
    assert wire.ask(request("GET /download/a.txt")).body == TEXT  # and the wire is in step


def test_an_empty_file_is_a_file(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request("PUT /upload/a.txt", body=b"")).status == 201
    asked = request("PUT /upload/b.txt", "Transfer-Encoding: chunked", body=chunked())
    assert wire.ask(asked).status == 201
    assert wire.ask(form_request(form(part("file", b"", "c.txt")))).status == 201
    assert wire.ask(request("GET /download/a.txt")).body == b""
    assert_holds_only(server, ["a.txt", "b.txt", "c.txt"])


def test_a_body_may_come_byte_by_byte(wire: Wire, server: LiveServer) -> None:
    for byte in form_request(form(part("file", TEXT, "a.txt"))):
        wire.send(bytes([byte]))
    assert wire.answer().status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_a_part_of_a_file_is_not_taken_for_the_file(wire: Wire, server: LiveServer) -> None:
    asked = request("PUT /upload/a.txt", "Content-Range: bytes 0-9/100", body=TEXT)
    assert wire.ask(asked).status == 400
    assert_holds_only(server, [])


@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_an_uploader_for_pages_sends_in_one_piece_is_a_file(
    wire: Wire, server: LiveServer, first: bool
) -> None:
    query = "?flowChunkNumber=1&flowTotalChunks=1"
    # It asks whether the piece is here; were that 200, it would not send it.
    assert wire.ask(request(f"GET /upload{query}")).status == 204
    parts = [part("dztotalchunkcount", b"1"), part("file", TEXT, "a.txt")]
    body = form(*(parts if first else reversed(parts)))
    assert wire.ask(form_request(body, line=f"POST /upload{query}")).status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_a_piece_is_refused_before_its_bytes_are_read(wire: Wire, server: LiveServer) -> None:
    fields = ("Expect: 100-continue", "Content-Length: 1000")
    answer = wire.ask(request("POST /upload/a.txt?chunk=0&chunks=9", *fields))
    assert (answer.status, answer.code()) == (400, "incomplete-body")
    assert answer.json()["dialect"] == "Plupload"
    assert "/tus/" in answer.json()["detail"]


def test_several_uploads_may_follow_each_other_without_waiting(
    wire: Wire, server: LiveServer
) -> None:
    names = [f"{i}.txt" for i in range(5)]
    wire.send(b"".join(request(f"PUT /upload/{name}", body=TEXT) for name in names))
    assert [wire.answer().status for _ in names] == [201] * 5
    assert_holds_only(server, names)


# Sizes


@pytest.fixture(scope="module")
def limited_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that takes files of 300,000 bytes."""
    store = tmp_path_factory.mktemp("limited") / "store"
    server = LiveServer({"STORE_URL": str(store), "MAX_FILE_SIZE": "300000", "WORKERS": "1"})
    yield server
    server.stop()


@pytest.mark.parametrize("size", [300_000, 300_001])
@pytest.mark.parametrize("frame", ["declared", "chunked", "form", "chunked form"])
def test_a_file_may_have_the_largest_size_and_not_one_byte_more(
    limited_server: LiveServer, size: int, frame: str
) -> None:
    limited_server.clear()
    data = b"x" * size
    whole_form = form(part("comment", b"c" * 1000), part("file", data, "a.txt"))
    asked = {
        "declared": request("PUT /upload/a.txt", body=data),
        "chunked": request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=chunked(data)),
        "form": form_request(whole_form),
        "chunked form": form_request(chunked(whole_form), "Transfer-Encoding: chunked"),
    }[frame]
    answer = ask(limited_server, asked)
    if size == 300_000:
        assert answer.status == 201
        assert (limited_server.store / "a.txt").read_bytes() == data
    else:
        assert (answer.status, answer.code()) == (413, "too-large")
        assert_holds_only(limited_server, [])


def test_a_declared_size_past_every_number_is_too_large(limited_server: LiveServer) -> None:
    limited_server.clear()
    answer = ask(limited_server, request("PUT /upload/a.txt", "Content-Length: " + "9" * 18))
    assert (answer.status, answer.code()) == (413, "too-large")
    assert_holds_only(limited_server, [])


# Digests and conditions


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize(
    "value",
    [
        sha256(TEXT),
        sha512(TEXT),
        f"{sha512(TEXT)}, {sha256(TEXT)}",
        f"md5=:AAAAAAAAAAAAAAAAAAAAAA==:, {sha256(TEXT)}",
        "unixsum=:AAA=:",
        sha256(TEXT) + ";parameter=1",
    ],
)
def test_a_right_digest_is_accepted(wire: Wire, server: LiveServer, field: str, value: str) -> None:
    assert wire.ask(request("PUT /upload/a.txt", f"{field}: {value}", body=TEXT)).status == 201
    assert_holds_only(server, ["a.txt"])


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize(
    "value", [sha256(b"else"), sha512(b"else"), f"{sha256(TEXT)}, {sha512(b'else')}"]
)
@pytest.mark.parametrize("frame", ["declared", "chunked"])
def test_a_wrong_digest_stores_nothing(
    wire: Wire, server: LiveServer, field: str, value: str, frame: str
) -> None:
    if frame == "chunked":
        fields, body = ["Transfer-Encoding: chunked"], chunked(TEXT)
    else:
        fields, body = [], TEXT
    answer = wire.ask(request("PUT /upload/a.txt", f"{field}: {value}", *fields, body=body))
    assert (answer.status, answer.code()) == (400, "digest-mismatch")
    assert_holds_only(server, [])


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize(
    "value",
    [
        "sha-256",
        "sha-256=abc",
        "sha-256=:abc:",
        "sha-256=:!!!!:",
        "sha-256=:AAAA:",
        hashlib.sha256(TEXT).hexdigest(),
        "sha-256=" + base64.b64encode(hashlib.sha256(TEXT).digest()).decode(),
        sha256(TEXT) + ",",
    ],
)
def test_a_malformed_digest_is_refused(
    wire: Wire, server: LiveServer, field: str, value: str
) -> None:
    answer = wire.ask(request("PUT /upload/a.txt", f"{field}: {value}", body=TEXT))
    assert (answer.status, answer.code()) == (400, "bad-digest-header")
    assert_holds_only(server, [])


def test_the_digest_of_a_form_is_that_of_the_whole_body(wire: Wire, server: LiveServer) -> None:
    body = form(part("file", TEXT, "a.txt"), part("comment", b"hello"))
    answer = wire.ask(form_request(body, f"Content-Digest: {sha256(TEXT)}"))
    assert (answer.status, answer.code()) == (400, "digest-mismatch")
    assert_holds_only(server, [])
    answer = wire.ask(form_request(body, f"Content-Digest: {sha256(body)}"))
    assert answer.status == 201


def test_repeating_an_upload_with_its_digest_is_no_error(wire: Wire, server: LiveServer) -> None:
    asked = request("PUT /upload/a.txt", f"Repr-Digest: {sha256(TEXT)}", body=TEXT)
    first, again = wire.ask(asked), ask(server, asked)
    assert (first.status, again.status) == (201, 200)
    assert again.json() == first.json()
    for field in ("ETag", "Location", "Repr-Digest"):
        assert again.headers[field] == first.headers[field]
    assert_holds_only(server, ["a.txt"])


def test_repeating_an_upload_that_was_not_the_same_is_an_error(
    wire: Wire, server: LiveServer
) -> None:
    wire.ask(request("PUT /upload/a.txt", body=TEXT))
    other = b"other text\n"
    asked = request("PUT /upload/a.txt", f"Repr-Digest: {sha256(other)}", body=other)
    assert ask(server, asked).code() == "name-taken"
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).code() == "name-taken"
    assert (server.store / "a.txt").read_bytes() == TEXT


@pytest.mark.parametrize("condition", ["If-None-Match: *", "If-None-Match:   *  "])
def test_a_name_that_must_be_free_is_taken_only_if_it_is(
    server: LiveServer, condition: str
) -> None:
    asked = request("PUT /upload/a.txt", condition, body=TEXT)
    assert ask(server, asked).status == 201
    answer = ask(server, asked)
    assert (answer.status, answer.code()) == (412, "precondition-failed")
    answer = ask(server, form_request(form(part("file", TEXT, "a.txt")), condition))
    assert (answer.status, answer.code()) == (412, "precondition-failed")


def test_an_upload_on_condition_of_a_version_never_replaces_it(server: LiveServer) -> None:
    stored = ask(server, request("PUT /upload/a.txt", body=TEXT))
    other = b"other text\n"
    for condition, status in (
        ('If-Match: "x"', 412),
        (f"If-Match: {stored.headers['ETag']}", 409),
        ("If-Match: *", 409),
        (f"If-None-Match: {stored.headers['ETag']}", 412),
        ('If-None-Match: "x"', 409),
    ):
        asked = request("PUT /upload/a.txt", condition, body=other)
        assert ask(server, asked).status == status, condition
    answer = ask(server, request("PUT /upload/new.txt", "If-Match: *", body=other))
    assert answer.status == 412
    assert_holds_only(server, ["a.txt"])
    assert (server.store / "a.txt").read_bytes() == TEXT


# Names


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
def test_a_good_name_is_kept_to_the_letter(wire: Wire, server: LiveServer, name: str) -> None:
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
def test_a_bad_name_is_refused_with_the_reason(wire: Wire, server: LiveServer, name: str) -> None:
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
def test_a_bad_name_is_refused_however_it_is_encoded(
    wire: Wire, server: LiveServer, path: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/{path}", body=TEXT))
    assert (answer.status, answer.code()) == (400, "bad-name")
    assert_holds_only(server, [])


@pytest.mark.parametrize("path", ["a/b.txt", "../a.txt", "./a.txt", "/a.txt", "a.txt/", "a//b.txt"])
def test_a_path_of_several_segments_stores_nothing(
    wire: Wire, server: LiveServer, path: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/{path}", body=TEXT))
    assert answer.code() in ("bad-name", "not-found")
    assert_holds_only(server, [])


@pytest.mark.parametrize("raw", ["Ü.txt".encode(), "日.txt".encode()])
def test_a_name_that_is_not_percent_encoded_means_the_same(
    wire: Wire, server: LiveServer, raw: bytes
) -> None:
    answer = wire.ask(request(b"PUT /upload/" + raw, body=TEXT))
    assert answer.status in (201, 400)  # RFC 3986 has no such character
    assert server.published() == ([raw.decode()] if answer.status == 201 else [])


def test_a_name_is_decoded_once(wire: Wire, server: LiveServer) -> None:
    answer = wire.ask(request("PUT /upload/a%252Fb%2541.txt", body=TEXT))
    assert answer.json()["filename"] == "a%2Fb%41.txt"
    assert answer.json()["url"].endswith("/download/a%252Fb%2541.txt")
    assert server.published() == ["a%2Fb%41.txt"]
    assert wire.ask(request("GET /download/a%252Fb%2541.txt")).body == TEXT
    assert wire.ask(request("GET /download/a%2Fb%41.txt")).status == 404


@pytest.mark.parametrize("name", ["Übér.txt", "が.txt", "한글.txt", "é" * 125 + ".txt"])
def test_the_two_forms_of_a_unicode_name_are_one_name(
    wire: Wire, server: LiveServer, name: str
) -> None:
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
    assert wire.ask(request("PUT /upload/a.txt?b.exe", body=TEXT)).status == 201
    assert_holds_only(server, ["a.txt"])


def test_a_target_may_be_a_whole_url(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request(f"PUT {server.url}/upload/a.txt", body=TEXT)).status == 201
    assert_holds_only(server, ["a.txt"])


# Forms


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
        (nfd("Übersicht.txt"), "Übersicht.txt"),
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


# Types


@pytest.mark.parametrize(
    "name",
    "img.bmp img.gif img.jpg img.png img.tiff img.webp note.doc note.docx note.odt note.pdf"
    " note.rtf note.txt t.csv t.ods t.xls t.xlsx".split(),
)
def test_a_real_document_is_taken_and_given_back(wire: Wire, sample, name: str) -> None:
    data = sample(name).read_bytes()
    stem, _, extension = name.partition(".")
    answer = wire.ask(request(f"PUT /upload/{stem}.{extension.upper()}", body=data))
    assert answer.status == 201, answer.body
    back = wire.ask(request(f"GET /download/{stem}.{extension.upper()}"))
    assert back.body == data
    assert back.headers["Content-Type"].partition(";")[0] == answer.json()["type"]


@pytest.mark.parametrize("real", ["note.pdf", "img.png", "note.docx", "note.doc", "note.html"])
@pytest.mark.parametrize("claimed", ["pdf", "png", "jpg", "docx", "xlsx", "doc", "json", "zip"])
def test_a_document_under_a_wrong_extension_is_refused_with_what_was_found(
    wire: Wire, server: LiveServer, sample, real: str, claimed: str
) -> None:
    if real.endswith("." + claimed) or (real, claimed) == ("note.docx", "zip"):
        pytest.skip("that is what it is")
    answer = wire.ask(request(f"PUT /upload/a.{claimed}", body=sample(real).read_bytes()))
    assert (answer.status, answer.code()) == (415, "content-mismatch")
    assert f".{claimed}" in answer.json()["detail"]
    assert_holds_only(server, [])
