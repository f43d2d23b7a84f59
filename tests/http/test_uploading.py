"""Uploading: answers, raw and chunked bodies, sizes, digests, conditions, and real documents."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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
def test_201_describes_the_stored_file(
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
        "expires": None,
        "digest": sha256(TEXT),
    }
    file = client.get(url)
    assert file.content == TEXT
    assert file.headers["ETag"] == answer.headers["ETag"]
    # Listing a bucket is one request, which tells nothing of digests.
    listed = {"digest": None} if isinstance(server, S3LiveServer) else {}
    assert client.get("/download").json() == [answer.json() | listed]


def test_answers_in_json_have_their_type_and_cache_policy(client: httpx.Client) -> None:
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
def test_the_content_type_of_a_raw_body_is_ignored(wire: Wire, claim: str) -> None:
    answer = wire.ask(request("POST /upload/a.txt", f"Content-Type: {claim}", body=TEXT))
    assert answer.status == 201
    assert answer.json()["type"] == "text/plain"


def test_a_raw_body_with_the_content_type_of_a_form_is_stored_as_it_is(
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
def test_chunked_bodies_are_accepted(
    wire: Wire, server: LiveServer, method: str, body: bytes
) -> None:
    asked = request(f"{method} /upload/a.txt", "Transfer-Encoding: chunked", body=body)
    assert wire.ask(asked).status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT
    assert wire.ask(request("GET /download/a.txt")).body == TEXT  # and the wire is in step


def test_empty_files_are_stored(wire: Wire, server: LiveServer) -> None:
    assert wire.ask(request("PUT /upload/a.txt", body=b"")).status == 201
    asked = request("PUT /upload/b.txt", "Transfer-Encoding: chunked", body=chunked())
    assert wire.ask(asked).status == 201
    assert wire.ask(form_request(form(part("file", b"", "c.txt")))).status == 201
    assert wire.ask(request("GET /download/a.txt")).body == b""
    assert_holds_only(server, ["a.txt", "b.txt", "c.txt"])


def test_a_body_that_arrives_byte_by_byte_is_stored(wire: Wire, server: LiveServer) -> None:
    for byte in form_request(form(part("file", TEXT, "a.txt"))):
        wire.send(bytes([byte]))
    assert wire.answer().status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_a_put_with_content_range_is_refused(wire: Wire, server: LiveServer) -> None:
    asked = request("PUT /upload/a.txt", "Content-Range: bytes 0-9/100", body=TEXT)
    assert wire.ask(asked).status == 400
    assert_holds_only(server, [])


@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_a_chunking_uploader_sends_in_one_chunk_is_stored(
    wire: Wire, server: LiveServer, first: bool
) -> None:
    query = "?flowChunkNumber=1&flowTotalChunks=1"
    # It asks whether the piece is here; were that 200, it would not send it.
    assert wire.ask(request(f"GET /upload{query}")).status == 204
    parts = [part("dztotalchunkcount", b"1"), part("file", TEXT, "a.txt")]
    body = form(*(parts if first else reversed(parts)))
    assert wire.ask(form_request(body, line=f"POST /upload{query}")).status == 201
    assert (server.store / "a.txt").read_bytes() == TEXT


def test_a_chunk_of_a_chunking_uploader_is_refused_before_it_is_read(
    wire: Wire, server: LiveServer
) -> None:
    fields = ("Expect: 100-continue", "Content-Length: 1000")
    answer = wire.ask(request("POST /upload/a.txt?chunk=0&chunks=9", *fields))
    assert (answer.status, answer.code()) == (400, "incomplete-body")
    assert answer.json()["dialect"] == "Plupload"
    assert "/tus/" in answer.json()["detail"]


def test_pipelined_uploads_are_stored(wire: Wire, server: LiveServer) -> None:
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
def test_a_file_of_the_largest_size_is_stored_and_a_larger_one_is_refused(
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


def test_a_content_length_of_18_digits_is_too_large(limited_server: LiveServer) -> None:
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
def test_a_matching_digest_is_accepted(
    wire: Wire, server: LiveServer, field: str, value: str
) -> None:
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


def test_content_digest_of_a_form_covers_the_whole_body(wire: Wire, server: LiveServer) -> None:
    body = form(part("file", TEXT, "a.txt"), part("comment", b"hello"))
    answer = wire.ask(form_request(body, f"Content-Digest: {sha256(TEXT)}"))
    assert (answer.status, answer.code()) == (400, "digest-mismatch")
    assert_holds_only(server, [])
    answer = wire.ask(form_request(body, f"Content-Digest: {sha256(body)}"))
    assert answer.status == 201


def test_a_repeated_upload_with_its_digest_is_answered_with_200(
    wire: Wire, server: LiveServer
) -> None:
    asked = request("PUT /upload/a.txt", f"Repr-Digest: {sha256(TEXT)}", body=TEXT)
    first, again = wire.ask(asked), ask(server, asked)
    assert (first.status, again.status) == (201, 200)
    assert again.json() == first.json()
    for field in ("ETag", "Location", "Repr-Digest"):
        assert again.headers[field] == first.headers[field]
    assert_holds_only(server, ["a.txt"])


def test_a_different_upload_to_a_taken_name_is_a_conflict(wire: Wire, server: LiveServer) -> None:
    wire.ask(request("PUT /upload/a.txt", body=TEXT))
    other = b"other text\n"
    asked = request("PUT /upload/a.txt", f"Repr-Digest: {sha256(other)}", body=other)
    assert ask(server, asked).code() == "name-taken"
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).code() == "name-taken"
    assert (server.store / "a.txt").read_bytes() == TEXT


@pytest.mark.parametrize("condition", ["If-None-Match: *", "If-None-Match:   *  "])
def test_if_none_match_star_stores_only_under_a_free_name(
    server: LiveServer, condition: str
) -> None:
    asked = request("PUT /upload/a.txt", condition, body=TEXT)
    assert ask(server, asked).status == 201
    answer = ask(server, asked)
    assert (answer.status, answer.code()) == (412, "precondition-failed")
    answer = ask(server, form_request(form(part("file", TEXT, "a.txt")), condition))
    assert (answer.status, answer.code()) == (412, "precondition-failed")


def test_a_conditional_upload_never_replaces_a_file(server: LiveServer) -> None:
    stored = ask(server, request("PUT /upload/a.txt", body=TEXT))
    other = b"other text\n"
    for condition, status in (
        ('If-Match: "x"', 412),
        (f"If-None-Match: {stored.headers['ETag']}", 412),
        ('If-None-Match: "x"', 409),
    ):
        asked = request("PUT /upload/a.txt", condition, body=other)
        assert ask(server, asked).status == status, condition
    answer = ask(server, request("PUT /upload/new.txt", "If-Match: *", body=other))
    assert answer.status == 412
    assert_holds_only(server, ["a.txt"])
    assert (server.store / "a.txt").read_bytes() == TEXT


# Types


@pytest.mark.parametrize(
    "name",
    "img.bmp img.gif img.jpg img.png img.tiff img.webp note.doc note.docx note.odt note.pdf"
    " note.rtf note.txt t.csv t.ods t.xls t.xlsx".split(),
)
def test_a_real_document_is_stored_and_served(wire: Wire, sample, name: str) -> None:
    data = sample(name).read_bytes()
    stem, _, extension = name.partition(".")
    answer = wire.ask(request(f"PUT /upload/{stem}.{extension.upper()}", body=data))
    assert answer.status == 201, answer.body
    back = wire.ask(request(f"GET /download/{stem}.{extension.upper()}"))
    assert back.body == data
    assert back.headers["Content-Type"].partition(";")[0] == answer.json()["type"]


WRONG_EXTENSIONS = [
    (real, claimed)
    for real in ("note.pdf", "img.png", "note.docx", "note.doc", "note.html")
    for claimed in ("pdf", "png", "jpg", "docx", "xlsx", "doc", "json", "zip")
    if not real.endswith(f".{claimed}") and (real, claimed) != ("note.docx", "zip")
]


@pytest.mark.parametrize(("real", "claimed"), WRONG_EXTENSIONS)
def test_a_document_under_a_wrong_extension_is_refused_with_what_was_found(
    wire: Wire, server: LiveServer, sample, real: str, claimed: str
) -> None:
    answer = wire.ask(request(f"PUT /upload/a.{claimed}", body=sample(real).read_bytes()))
    assert (answer.status, answer.code()) == (415, "content-mismatch")
    assert f".{claimed}" in answer.json()["detail"]
    assert_holds_only(server, [])
