"""Resumable uploads by the IETF's draft, interop version 8, on the address of the file itself."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.tus import dashed
from tests.support.wire import Answer, Wire, eventually, request, sha256

TEXT = b"a line of text\n" * 1000
PARTIAL = {"Content-Type": "application/partial-upload"}
VERSION = "Upload-Draft-Interop-Version: 8"
IANA = "https://iana.org/assignments/http-problem-types#"


@pytest.fixture
def begin(client: httpx.Client) -> Callable[..., str]:
    """Begin an upload in several requests; its address."""

    def begin(name: str = "note.txt", data: bytes = b"", **fields: str) -> str:
        headers = {"Upload-Complete": "?0"} | dashed(fields)
        answer = client.put(f"/upload/{name}", content=data, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Upload-Complete"] == "?0"
        return answer.headers["Location"]

    return begin


@pytest.fixture
def append(client: httpx.Client) -> Callable[..., httpx.Response]:
    def append(url: str, offset: int, data: bytes, last: bool, **fields: str) -> httpx.Response:
        headers = PARTIAL | {"Upload-Offset": str(offset), "Upload-Complete": f"?{int(last)}"}
        return client.patch(url, content=data, headers=headers | dashed(fields))

    return append


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix(IANA)


def test_an_upload_in_several_requests(client: httpx.Client, begin, append) -> None:
    url = begin(data=TEXT[:100], Upload_Length=str(len(TEXT)))
    head = client.head(url)
    assert head.status_code == 204
    assert head.headers["Upload-Offset"] == "100"
    assert head.headers["Upload-Complete"] == "?0"
    assert head.headers["Upload-Length"] == str(len(TEXT))
    assert head.headers["Upload-Limit"].startswith(f"max-size={5 << 30}, max-age=86")
    assert head.headers["Cache-Control"] == "no-store"
    more = append(url, 100, TEXT[100:300], last=False)
    assert (more.status_code, more.headers["Upload-Complete"]) == (204, "?0")
    assert client.get("/download/note.txt").status_code == 404
    last = append(url, 300, TEXT[300:], last=True)
    assert (last.status_code, last.headers["Upload-Complete"]) == (201, "?1")
    assert last.json()["size"] == len(TEXT)
    file = client.get(last.headers["Location"])
    assert file.content == TEXT
    assert last.headers["Repr-Digest"] == file.headers["Repr-Digest"] == sha256(TEXT)
    head = client.head(url)
    assert (head.headers["Upload-Complete"], head.headers["Upload-Offset"]) == (
        "?1",
        str(len(TEXT)),
    )
    assert head.headers["Content-Location"] == last.headers["Location"]


def test_an_upload_with_all_its_bytes_is_complete_only_when_the_client_says_so(
    client: httpx.Client, begin, append
) -> None:
    url = begin(data=TEXT, Upload_Length=str(len(TEXT)))
    assert client.head(url).headers["Upload-Complete"] == "?0"
    assert client.get("/download/note.txt").status_code == 404
    assert append(url, len(TEXT), b"", last=True).status_code == 201
    assert client.get("/download/note.txt").content == TEXT


def test_an_upload_of_unknown_length_ends_with_its_last_request(
    client: httpx.Client, begin, append
) -> None:
    url = begin()
    assert "Upload-Length" not in client.head(url).headers
    append(url, 0, TEXT[:50], last=False)
    assert append(url, 50, TEXT[50:80], last=True).status_code == 201
    assert client.get("/download/note.txt").content == TEXT[:80]


def creation(*fields: str, body: bytes = TEXT) -> bytes:
    return (
        request(
            "PUT /upload/note.txt",
            f"Content-Length: {len(TEXT)}",
            "Upload-Complete: ?1",
            *fields,
        )
        + body
    )


class TestInterimAnswer:
    def test_a_client_of_this_draft_version_gets_104_with_the_location(self, wire: Wire) -> None:
        wire.send(creation(VERSION))
        interim = wire.answer()
        assert interim.status == 104
        assert httpx.URL(interim.headers["Location"]).path.startswith("/resume/")
        assert interim.headers["Upload-Draft-Interop-Version"] == "8"
        assert interim.headers["Upload-Limit"].startswith("max-size=")
        final = wire.answer()
        assert (final.status, final.headers["Upload-Complete"]) == (201, "?1")
        assert final.headers["Location"].endswith("/download/note.txt")

    def test_a_client_that_expects_100_continue_gets_it_too(self, wire: Wire) -> None:
        wire.send(creation(VERSION, "Expect: 100-continue", body=b""))
        assert [wire.answer().status for _ in range(2)] == [104, 100]
        wire.send(TEXT)
        assert wire.answer().status == 201

    @pytest.mark.parametrize("fields", [(), ("Upload-Draft-Interop-Version: 7",)])
    def test_a_client_of_another_version_gets_no_104(
        self, wire: Wire, fields: tuple[str, ...]
    ) -> None:
        wire.send(creation(*fields))
        assert wire.answer().status == 201

    def test_a_client_of_http_1_0_gets_no_104(self, wire: Wire) -> None:
        head, _, rest = creation(VERSION).partition(b" HTTP/1.1\r\n")
        wire.send(head + b" HTTP/1.0\r\n" + rest)
        assert wire.answer().status == 201

    @pytest.mark.parametrize(
        "field",
        [
            "Via: 1.1 proxy.example",
            "Forwarded: for=192.0.2.1",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: files.example",
            "X-Forwarded-Prefix: /files",
            "X-Real-IP: 192.0.2.1",
        ],
    )
    def test_no_104_is_sent_through_a_proxy(self, wire: Wire, field: str) -> None:
        wire.send(creation(VERSION, field))
        assert wire.answer().status == 201

    def test_a_client_behind_a_proxy_gets_100_continue_only(self, wire: Wire) -> None:
        wire.send(creation(VERSION, "Via: 1.1 proxy.example", "Expect: 100-continue", body=b""))
        assert wire.answer().status == 100
        wire.send(TEXT)
        assert wire.answer().status == 201

    def test_a_refused_upload_gets_no_104(self, wire: Wire, server: LiveServer) -> None:
        (server.store / "note.txt").write_bytes(b"taken")
        wire.send(creation(VERSION, "Expect: 100-continue", body=b""))
        assert wire.answer().status == 409

    def test_an_upload_that_was_cut_continues_at_its_location(
        self, server: LiveServer, client: httpx.Client, append
    ) -> None:
        with Wire(server) as wire:
            wire.send(creation(VERSION, body=TEXT[:700]))
            url = httpx.URL(wire.answer().headers["Location"]).path
            eventually(lambda: uploaded(server, url) == 700)
            wire.reset()
        assert client.head(url).headers["Upload-Offset"] == "700"
        assert append(url, 700, TEXT[700:], last=True).status_code == 201
        assert client.get("/download/note.txt").content == TEXT


def uploaded(server: LiveServer, url: str) -> int:
    """Bytes that lie in the store, looked at without ending the request that sends them."""
    path = server.store / ".fileservice/uploads" / url.rpartition("/")[2]
    return path.stat().st_size


@pytest.fixture
def silent(server: LiveServer) -> Iterator[tuple[str, Wire]]:
    """An upload whose first request has sent 700 bytes, and then nothing."""
    with Wire(server) as wire:
        wire.send(creation(VERSION, body=TEXT[:700]))
        informed = wire.answer()
        assert informed.status == 104, informed
        url = httpx.URL(informed.headers["Location"]).path
        eventually(lambda: uploaded(server, url) == 700)
        yield url, wire


class TestConcurrency:
    """A request is refused if the earlier one does not end within the three seconds of LockTiming.

    On a machine that is busy, it is therefore sent again.
    """

    def test_head_ends_the_earlier_request(
        self, client: httpx.Client, silent: tuple[str, Wire]
    ) -> None:
        url, first = silent
        eventually(lambda: client.head(url).headers.get("Upload-Offset") == "700")
        assert first.answer().status == 423

    def test_patch_ends_the_earlier_request(
        self, client: httpx.Client, append, silent: tuple[str, Wire]
    ) -> None:
        url, first = silent
        eventually(lambda: append(url, 700, TEXT[700:], last=True).status_code == 201)
        assert first.answer().status == 423
        assert client.get("/download/note.txt").content == TEXT

    def test_patch_ends_an_earlier_request_that_still_sends(
        self, append, silent: tuple[str, Wire]
    ) -> None:
        url, first = silent
        answered = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):  # the server has ended the request
                for offset in range(700, len(TEXT) - 10, 10):
                    first.send(TEXT[offset : offset + 10])
                    if answered.wait(0.05):
                        return

        sender = threading.Thread(target=send)
        sender.start()
        try:
            # 409: more bytes arrived before the end
            eventually(lambda: append(url, 700, TEXT[700:], last=True).status_code in (201, 409))
        finally:
            answered.set()
            sender.join()
        assert first.answer().status == 423

    def test_delete_ends_the_earlier_request(
        self, server: LiveServer, client: httpx.Client, silent: tuple[str, Wire]
    ) -> None:
        url, first = silent
        eventually(lambda: client.delete(url).status_code == 204)
        assert first.answer().status == 423
        assert client.head(url).status_code == 404
        assert not list((server.store / ".fileservice/uploads").glob(url.rpartition("/")[2] + "*"))


class TestRefusals:
    def test_patch_at_another_offset_is_a_conflict(
        self, client: httpx.Client, begin, append
    ) -> None:
        url = begin(data=TEXT[:100])
        answer = append(url, 50, b"more", last=False)
        assert problem(answer) == (409, "mismatching-upload-offset")
        assert answer.headers["Upload-Offset"] == "100"
        assert answer.json()["expected-offset"] == 100
        assert answer.json()["provided-offset"] == 50
        assert client.head(url).headers["Upload-Offset"] == "100"

    @pytest.mark.parametrize(
        ("data", "kind"), [(b"", "completed-upload"), (b"x", "inconsistent-upload-length")]
    )
    def test_a_complete_upload_accepts_no_more_bytes(
        self, begin, append, data: bytes, kind: str
    ) -> None:
        url = begin()
        append(url, 0, TEXT, last=True)
        assert problem(append(url, len(TEXT), data, last=True)) == (400, kind)

    def test_inconsistent_lengths_are_refused(self, client: httpx.Client, begin, append) -> None:
        fields = {"Upload-Complete": "?1", "Upload-Length": "5", VERSION[:28]: "8"}
        answer = client.put("/upload/note.txt", content=TEXT, headers=fields)
        assert problem(answer) == (400, "inconsistent-upload-length")
        url = begin(data=TEXT[:100], Upload_Length="200")
        assert append(url, 100, TEXT[100:150], last=True).status_code == 400
        assert client.head(url).headers["Upload-Offset"] == "100"

    def test_more_bytes_than_the_length_end_the_upload(
        self, client: httpx.Client, begin, append
    ) -> None:
        url = begin(data=TEXT[:100], Upload_Length="200")
        answer = append(url, 100, TEXT[:101], last=False)
        assert answer.status_code == 413
        assert answer.headers["Upload-Limit"]
        assert client.head(url).status_code == 404

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"Content_Type": "application/octet-stream"}, 415),
            ({"Upload_Offset": "many"}, 400),
            ({"Upload_Complete": "true"}, 400),
        ],
    )
    def test_malformed_fields_are_refused(
        self, client: httpx.Client, begin, append, fields: dict[str, str], status: int
    ) -> None:
        url = begin(data=TEXT[:100])
        assert append(url, 100, b"more", last=False, **fields).status_code == status
        assert client.head(url).headers["Upload-Offset"] == "100"

    def test_a_wrong_type_is_refused_for_good(self, begin, append) -> None:
        url = begin("image.png", TEXT[:100])
        answer = append(url, 100, TEXT[100:], last=True)
        assert (answer.status_code, answer.headers["Upload-Complete"]) == (415, "?1")

    def test_repr_digest_is_verified_at_the_end(self, begin, append) -> None:
        url = begin(data=TEXT[:100], Repr_Digest=sha256(b"other"))
        answer = append(url, 100, TEXT[100:], last=True)
        assert (answer.status_code, answer.json()["code"]) == (400, "digest-mismatch")

    def test_content_digest_is_verified_before_the_offset_moves(
        self, client: httpx.Client, begin, append
    ) -> None:
        url = begin(data=TEXT[:100], Repr_Digest=sha256(TEXT))
        wrong = append(url, 100, TEXT[100:], last=True, Content_Digest=sha256(TEXT))
        assert wrong.status_code == 400
        assert client.head(url).headers["Upload-Offset"] == "100"
        right = append(url, 100, TEXT[100:], last=True, Content_Digest=sha256(TEXT[100:]))
        assert right.status_code == 201

    def test_a_malformed_upload_complete_field_is_ignored(self, client: httpx.Client) -> None:
        answer = client.put("/upload/note.txt", content=TEXT, headers={"Upload-Complete": "yes"})
        assert answer.status_code == 201
        assert client.get("/download/note.txt").content == TEXT


def test_options_announces_resumable_uploads(client: httpx.Client) -> None:
    answer = client.options("/upload/note.txt")
    assert answer.headers["Accept-Patch"] == "application/partial-upload"
    assert answer.headers["Upload-Limit"] == f"max-size={5 << 30}"
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST", "PUT"}


def test_a_repeated_upload_that_succeeded_is_answered_at_once(
    client: httpx.Client, wire: Wire
) -> None:
    client.put("/upload/note.txt", content=TEXT)
    wire.send(creation(VERSION, f"Repr-Digest: {sha256(TEXT)}", "Expect: 100-continue", body=b""))
    answer: Answer = wire.answer()
    assert (answer.status, answer.headers["Upload-Complete"]) == (200, "?1")


def test_a_client_that_disconnects_before_a_byte_leaves_no_upload_and_no_error(
    start_server: Callable[..., LiveServer], over_a_directory: None
) -> None:
    server = start_server(WORKERS="1")
    uploads = server.store / ".fileservice/uploads"
    for number in range(20):
        with Wire(server) as wire:
            wire.send(
                request(
                    f"PUT /upload/{number}.txt",
                    "Upload-Complete: ?1",
                    VERSION,
                    "Content-Length: 50",
                )
            )
            if number % 2:
                assert wire.answer().status == 104
            wire.reset()
    eventually(lambda: not list(uploads.iterdir()))
    assert "Traceback" not in server.log()
    assert "internal error" not in server.log()


def test_an_upload_cut_before_its_client_knew_the_location_is_removed(
    start_server: Callable[..., LiveServer], over_a_directory: None
) -> None:
    server = start_server(WORKERS="1")
    fields = ("Upload-Complete: ?0", "Upload-Length: 5000", "Content-Length: 50")
    with Wire(server) as wire:
        wire.send(request("PUT /upload/a.txt", *fields))
        wire.send(b"text")
        uploads = server.store / ".fileservice/uploads"
        eventually(lambda: any(path.stat().st_size == 4 for path in uploads.iterdir()))
        wire.reset()
    eventually(lambda: not list(uploads.iterdir()))


def test_an_upload_cut_after_its_first_byte_is_kept(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="1")
    head = request("PUT /upload/a.txt", "Upload-Complete: ?1", VERSION, "Content-Length: 50")
    with Wire(server) as wire:
        wire.send(head)
        url = httpx.URL(wire.answer().headers["Location"]).path
        wire.send(b"text")
    with server.client() as client:
        eventually(lambda: client.head(url).headers.get("Upload-Offset") == "4")
