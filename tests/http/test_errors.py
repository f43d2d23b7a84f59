"""Every row of the contract's table of errors, in JSON and as a page."""

import contextlib
import re
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.problems import BROWSER, TEXT, assert_problem, assert_problem_page
from tests.support.servers import LiveServer
from tests.support.wire import (
    Answer,
    Wire,
    ask,
    assert_holds_only,
    chunked,
    eventually,
    form,
    form_request,
    part,
    request,
)

Tool = Callable[[str], str]

WRONG = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
JPEG_START = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(200)


@dataclass(frozen=True)
class Case:
    """A request that comes to grief while `taken.txt` is stored, of ten bytes."""

    status: int
    code: str
    request: bytes
    cut: bool = False
    """The client sends no more: FIN."""


CASES = {
    "a form without a file": Case(400, "no-file", form_request(form(part("comment", b"hello")))),
    "a form in which no file was chosen": Case(
        400, "no-file", form_request(form(part("file", b"", "")))
    ),
    "a form whose file is text typed in": Case(
        400, "no-file", form_request(form(part("file", TEXT)))
    ),
    "a form with its file in another field": Case(
        400, "no-file", form_request(form(part("upload", TEXT, "a.txt")))
    ),
    "a form without any part": Case(400, "no-file", form_request(form())),
    "a form with two files": Case(
        400,
        "one-file-only",
        form_request(form(part("file", TEXT, "a.txt"), part("file", TEXT, "b.txt"))),
    ),
    "a body that is no form": Case(
        400, "bad-form", request("POST /upload", "Content-Type: text/plain", body=TEXT)
    ),
    "a body without a type where a form belongs": Case(
        400, "bad-form", request("POST /upload", body=TEXT)
    ),
    "a form of another kind": Case(
        400,
        "bad-form",
        request("POST /upload", "Content-Type: application/x-www-form-urlencoded", body=b"file=a"),
    ),
    "a form without a boundary": Case(
        400, "bad-form", request("POST /upload", "Content-Type: multipart/form-data", body=form())
    ),
    "a form with another boundary than declared": Case(
        400, "bad-form", form_request(form(part("file", TEXT, "a.txt"), boundary=b"other"))
    ),
    "a name with a backslash": Case(400, "bad-name", request("PUT /upload/a%5Cb.txt", body=TEXT)),
    "a hidden name in a form": Case(
        400, "bad-name", form_request(form(part("file", TEXT, ".a.txt")))
    ),
    "a name without extension": Case(400, "no-extension", request("PUT /upload/README", body=TEXT)),
    "a name without extension in a form": Case(
        400, "no-extension", form_request(form(part("file", TEXT, "README")))
    ),
    "a digest that is no digest": Case(
        400, "bad-digest-header", request("PUT /upload/a.txt", "Repr-Digest: abc", body=TEXT)
    ),
    "a body that ends early": Case(
        400,
        "incomplete-body",
        request("PUT /upload/a.txt", "Content-Length: 100", body=TEXT),
        cut=True,
    ),
    "a chunked body that ends early": Case(
        400,
        "incomplete-body",
        request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=chunked(TEXT)[:-5]),
        cut=True,
    ),
    "a piece as Dropzone sends it": Case(
        400,
        "incomplete-body",
        form_request(
            form(
                part("dzchunkindex", b"0"),
                part("dztotalchunkcount", b"3"),
                part("file", TEXT, "a.txt"),
            )
        ),
    ),
    "a piece that says so behind its bytes": Case(
        400,
        "incomplete-body",
        form_request(form(part("file", TEXT, "a.txt"), part("chunk", b"0"), part("chunks", b"2"))),
    ),
    "a piece as Resumable.js sends it": Case(
        400,
        "incomplete-body",
        form_request(
            form(part("file", TEXT, "a.txt")),
            line="POST /upload?resumableChunkNumber=1&resumableTotalChunks=2",
        ),
    ),
    "a piece as Flow.js sends it, raw": Case(
        400,
        "incomplete-body",
        request("POST /upload/a.txt?flowChunkNumber=1&flowTotalChunks=2", body=TEXT),
    ),
    "asking for a piece before it is sent": Case(
        400, "incomplete-body", request("GET /upload?flowChunkNumber=1&flowTotalChunks=2")
    ),
    "a form with a range": Case(
        400,
        "incomplete-body",
        form_request(form(part("file", TEXT, "a.txt")), "Content-Range: bytes 0-9/100"),
    ),
    "a form followed by more than a form": Case(
        400,
        "bad-form",
        form_request(form(part("file", TEXT, "a.txt")) + b"x" * 70_000),
    ),
    "a part with two names": Case(
        400, "bad-form", form_request(form(part("file", TEXT, 'a.txt"; filename="b.txt')))
    ),
    "another digest than declared": Case(
        400, "digest-mismatch", request("PUT /upload/a.txt", f"Repr-Digest: {WRONG}", body=TEXT)
    ),
    "a file that is not there": Case(404, "not-found", request("GET /download/none.txt")),
    "deleting what is not there": Case(404, "not-found", request("DELETE /download/none.txt")),
    "a path that is not there": Case(404, "not-found", request("GET /somewhere/else")),
    "a method that the list does not have": Case(
        405, "method-not-allowed", request("DELETE /download", "Content-Length: 0")
    ),
    "a method that a file does not have": Case(
        405, "method-not-allowed", request("POST /download/taken.txt", body=b"")
    ),
    "a body that stalls": Case(
        408, "too-slow", request("PUT /upload/a.txt", "Content-Length: 100", body=TEXT)
    ),
    "a chunked body that stalls": Case(
        408,
        "too-slow",
        request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=b"a\r\n" + TEXT),
    ),
    "a form that stalls": Case(
        408,
        "too-slow",
        form_request(form(part("file", TEXT, "a.txt"))[:-10], "Content-Length: 900"),
    ),
    "a taken name": Case(409, "name-taken", request("PUT /upload/taken.txt", body=TEXT)),
    "a taken name in a form": Case(
        409, "name-taken", form_request(form(part("file", TEXT, "taken.txt")))
    ),
    "an upload without any body": Case(411, "length-required", request("PUT /upload/a.txt")),
    "a form without any body": Case(
        411,
        "length-required",
        request("POST /upload", "Content-Type: multipart/form-data; boundary=X"),
    ),
    "a taken name that had to be free": Case(
        412, "precondition-failed", request("PUT /upload/taken.txt", "If-None-Match: *", body=TEXT)
    ),
    "an upload over another version": Case(
        412, "precondition-failed", request("PUT /upload/a.txt", 'If-Match: "x"', body=TEXT)
    ),
    "reading another version": Case(
        412, "precondition-failed", request("GET /download/taken.txt", 'If-Match: "x"')
    ),
    "deleting another version": Case(
        412, "precondition-failed", request("DELETE /download/taken.txt", 'If-Match: "x"')
    ),
    "a body declared too large": Case(
        413, "too-large", request("PUT /upload/a.txt", body=b"x" * 1025)
    ),
    "a body found too large": Case(
        413,
        "too-large",
        request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=chunked(b"x" * 1025)),
    ),
    "a form with a file too large": Case(
        413, "too-large", form_request(form(part("file", b"x" * 1025, "a.txt")))
    ),
    "a kind of file not taken": Case(
        415, "extension-not-allowed", request("PUT /upload/a.exe", body=TEXT)
    ),
    "content that is not what the name says": Case(
        415, "content-mismatch", request("PUT /upload/a.pdf", body=TEXT)
    ),
    "an image called text": Case(
        415, "content-mismatch", form_request(form(part("file", JPEG_START, "a.txt")))
    ),
    "bytes past the end": Case(
        416, "range-not-satisfiable", request("GET /download/taken.txt", "Range: bytes=10-")
    ),
}


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that takes files of 1 KiB, and waits a second for those who send nothing."""
    store = tmp_path_factory.mktemp("errors") / "store"
    server = LiveServer(
        {"STORE_URL": str(store), "MAX_FILE_SIZE": "1KiB", "IDLE_TIMEOUT": "1s", "WORKERS": "1"}
    )
    (server.store / "taken.txt").write_bytes(TEXT)
    yield server
    server.stop()


def answer_to(server: LiveServer, case: Case, *fields: str) -> Answer:
    """What the server says to the case's request with these fields added."""
    first, _, rest = case.request.partition(b"\r\n")
    added = "".join(field + "\r\n" for field in fields).encode()
    with Wire(server) as wire:
        wire.send(first + b"\r\n" + added + rest)
        if case.cut:
            wire.finish()
        return wire.answer(to=first.partition(b" ")[0])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_error_is_answered_as_problem_json_and_leaves_nothing(
    small_server: LiveServer, case: Case
) -> None:
    assert_problem(answer_to(small_server, case), case.status, case.code)
    assert_holds_only(small_server, ["taken.txt"])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_error_is_answered_to_a_browser_as_a_page(small_server: LiveServer, case: Case) -> None:
    assert_problem_page(answer_to(small_server, case, BROWSER), case.status, case.code)
    assert_holds_only(small_server, ["taken.txt"])


def test_the_page_says_what_the_json_says(small_server: LiveServer) -> None:
    case = CASES["content that is not what the name says"]
    problem = answer_to(small_server, case).json()
    page = answer_to(small_server, case, BROWSER).body.decode()
    assert problem["title"] in page
    assert problem["detail"][1:] in page  # there it is a sentence, with a capital letter


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/problem+json, text/html;q=0.5", "", "image/png"],
)
def test_a_client_that_does_not_prefer_html_gets_json(
    small_server: LiveServer, accept: str
) -> None:
    case = CASES["a file that is not there"]
    assert_problem(answer_to(small_server, case, f"Accept: {accept}"), 404, "not-found")


def test_markup_in_a_name_is_escaped_in_the_error_page(
    small_server: LiveServer,
) -> None:
    case = Case(404, "not-found", request("GET /download/%3Cscript%3Ealert(1)%3C%2Fscript%3E.txt"))
    page = answer_to(small_server, case, BROWSER).body
    assert b"<script>" not in page


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("DELETE /upload", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("POST /download", {"GET", "HEAD", "OPTIONS"}),
        ("PUT /download/taken.txt", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("GET /upload/taken.txt", {"POST", "PUT", "OPTIONS"}),
        ("DELETE /", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH /download/taken.txt", {"GET", "HEAD", "DELETE", "OPTIONS"}),
    ],
)
def test_405_lists_the_allowed_methods(
    small_server: LiveServer, line: str, allowed: set[str]
) -> None:
    answer = ask(small_server, request(line, "Content-Length: 0"))
    assert_problem(answer, 405, "method-not-allowed")
    assert set(re.split(r"\s*,\s*", answer.headers["Allow"])) == allowed
    assert_holds_only(small_server, ["taken.txt"])


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/uploads",
        "/download//",
        "/Upload",
        "/download//taken.txt",
        "/download/taken.txt/",
        "/download/.fileservice",
        "/download/.fileservice/staging",
        "/download/..%2F..%2Fetc%2Fpasswd",
        "/download/../../etc/passwd",
        "/download/taken.txt%00",
        "/download/%FF.txt",
        "/static/../app.py",
        "/static/..%2F..%2Fapp.py",
    ],
)
def test_an_unknown_path_is_not_found(small_server: LiveServer, path: str) -> None:
    assert_problem(ask(small_server, request(f"GET {path}")), 404, "not-found")


def test_416_has_the_size_of_the_file(small_server: LiveServer) -> None:
    answer = answer_to(small_server, CASES["bytes past the end"])
    assert answer.headers["Content-Range"] == "bytes */10"


def test_a_stalled_upload_is_answered_with_408(small_server: LiveServer) -> None:
    with Wire(small_server) as wire:
        wire.send(CASES["a body that stalls"].request)
        assert wire.answer().status == 408
        assert wire.ended()


def test_the_answer_to_a_stalled_client_says_that_the_connection_ends(
    small_server: LiveServer,
) -> None:
    assert answer_to(small_server, CASES["a body that stalls"]).closes()


def test_late_bytes_of_a_stalled_upload_are_not_taken_for_a_request(
    small_server: LiveServer,
) -> None:
    with Wire(small_server) as wire:
        wire.send(CASES["a body that stalls"].request)
        assert wire.answer().status == 408
        with contextlib.suppress(ConnectionError):
            wire.send(request("DELETE /download/taken.txt"))
        assert wire.ended()
    assert_holds_only(small_server, ["taken.txt"])


@pytest.mark.parametrize("form_of_it", ["with its length", "chunked", "as a form"])
def test_a_slow_upload_that_never_stalls_is_stored(
    start_server: Callable[..., LiveServer], form_of_it: str
) -> None:
    server = start_server(IDLE_TIMEOUT="1s")
    data = b"0123456789" * 1200
    whole = {
        "with its length": request("PUT /upload/slow.txt", body=data),
        "chunked": request(
            "PUT /upload/slow.txt",
            "Transfer-Encoding: chunked",
            body=chunked(*(data[i : i + 10] for i in range(0, len(data), 10))),
        ),
        "as a form": form_request(form(part("file", data, "slow.txt"))),
    }[form_of_it]
    with Wire(server) as wire:
        head = whole.index(b"\r\n\r\n") + 4
        wire.send(whole[:head])
        step = -(-(len(whole) - head) // 6)
        for at in range(head, len(whole), step):
            # Six steps, longer than the limit together, each of nearly 2 KiB: the pace counts.
            assert select.select([wire.socket], [], [], 0.25)[0] == []
            wire.send(whole[at : at + step])
        assert wire.answer().status == 201
        assert wire.ask(request("DELETE /download/slow.txt")).status == 204


@pytest.mark.parametrize(
    "host",
    [
        "Host: a b",
        "Host: [::1",
        "Host: a/b",
        "Host: a\r\nHost: b",
        "X-Host: a",
        "Host: ..",
        "Host: a..b",
        f"Host: {'a' * 64}",
        "Host: [:::]",
        "Host: a:65536",
    ],
)
@pytest.mark.parametrize("accept", [BROWSER, "Accept: */*"])
def test_a_malformed_host_is_refused(server: LiveServer, host: str, accept: str) -> None:
    # RFC 9112 section 3.2: MUST; and the URLs in the answers are made of it.
    lines = ["PUT /upload/a.txt HTTP/1.1", host, accept, f"Content-Length: {len(TEXT)}", "", ""]
    answer = ask(server, "\r\n".join(lines).encode() + TEXT)
    assert answer.status == 400
    assert b"bad-request" in answer.body
    assert_holds_only(server, [])


def test_an_unexpected_error_has_an_id_that_is_also_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: Tool
) -> None:
    # A broken installation: a library that returns what the service does not expect.
    broken = "MAGIC_NONE = MAGIC_NO_CHECK_TEXT = MAGIC_NO_CHECK_SOFT = 0\n"
    broken += "class Magic:\n    def __init__(self, **_options):\n        raise ArithmeticError\n"
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "magic.py").write_text(broken)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    server = LiveServer({"STORE_URL": str(tmp_path / "store"), "WORKERS": "1"}, tool("env"))
    try:
        answer = ask(server, request("PUT /upload/a.txt", body=TEXT))
        assert_problem(answer, 500, "internal")
        assert_holds_only(server, [])
        (incident,) = re.findall(r"\b[0-9a-f]{8,}\b", answer.json()["detail"])
        eventually(lambda: incident in server.log())
        assert "ArithmeticError" in server.log()
        page = ask(server, request("PUT /upload/a.txt", BROWSER, body=TEXT))
        assert_problem_page(page, 500, "internal")
        for secret in (str(tmp_path), "ArithmeticError", "magic"):
            assert secret not in (answer.body + page.body).decode()
    finally:
        server.stop()
