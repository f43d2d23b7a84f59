"""tus 1.0.0, clause by clause, with clients that keep to it and clients that do not."""

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.tus import BYTES, VERSION, Tus, encoded, named
from tests.support.wire import Wire, chunked, eventually, request

TEXT = b"a line of text\n" * 1000
CHECKSUMS = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


@pytest.fixture
def tus(client: httpx.Client) -> Tus:
    return Tus(client)


def checksum(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {encoded(CHECKSUMS[algorithm](data).digest())}"


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status of a refusal and its code."""
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return answer.status_code, answer.json()["code"]


class TestCore:
    def test_options_lists_the_versions_and_extensions_of_tus(self, client: httpx.Client) -> None:
        answer = client.options("/tus/")
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(5 << 30)
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            *("creation", "creation-with-upload", "creation-defer-length", "expiration"),
            *("checksum", "termination", "concatenation"),
        }
        assert set(answer.headers["Tus-Checksum-Algorithm"].split(",")) == set(CHECKSUMS)

    @pytest.mark.parametrize("version", [None, "0.2.2", "1.0", "2.0.0"])
    def test_an_unsupported_tus_version_is_refused_without_effect(
        self, tus: Tus, version: str | None
    ) -> None:
        url = tus.begin(length=10)
        for answer in (
            tus.create("other.txt", 10, Tus_Resumable=version),
            tus.patch(url, 0, b"some", Tus_Resumable=version),
            tus.delete(url, Tus_Resumable=version),
        ):
            assert code(answer) == (412, "tus-version")
            assert answer.headers["Tus-Version"] == "1.0.0"
        assert tus.head(url, Tus_Resumable=version).status_code == 412
        assert tus.offset(url) == 0

    def test_head_returns_offset_length_and_metadata_and_is_not_cached(self, tus: Tus) -> None:
        url = tus.begin(length=20)
        tus.patch(url, 0, TEXT[:7])
        answer = tus.head(url)
        assert answer.status_code == 200
        assert answer.headers["Upload-Offset"] == "7"
        assert answer.headers["Upload-Length"] == "20"
        assert answer.headers["Upload-Metadata"] == named("note.txt")["Upload-Metadata"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Tus-Resumable"] == "1.0.0"

    def test_patches_append_bytes_until_the_file_is_published(
        self, tus: Tus, client: httpx.Client
    ) -> None:
        url = tus.begin(length=len(TEXT))
        answer = tus.patch(url, 0, TEXT[:5000])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "5000")
        assert client.get("/download/note.txt").status_code == 404
        answer = tus.patch(url, 5000, TEXT[5000:])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(TEXT)))
        file = client.get("/download/note.txt")
        assert file.content == TEXT
        for field in ("ETag", "Repr-Digest"):
            assert answer.headers[field] == file.headers[field]
        assert answer.headers["Content-Location"] == str(file.url)

    def test_a_client_that_lost_the_last_answer_gets_it_again(self, tus: Tus) -> None:
        url = tus.begin(length=len(TEXT))
        last = tus.patch(url, 0, TEXT)
        for answer in (tus.head(url), tus.patch(url, len(TEXT))):
            assert answer.status_code in (200, 204)
            for field in ("Upload-Offset", "ETag", "Repr-Digest", "Content-Location"):
                assert answer.headers[field] == last.headers[field]

    @pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
    def test_the_method_can_be_overridden(self, tus: Tus, method: str) -> None:
        url = tus.begin(length=20)
        fields = BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": method}
        answer = tus.request("POST", url, fields, b"some")
        if method == "DELETE":
            assert answer.status_code == 204
            assert tus.head(url).status_code == 404
        else:
            assert answer.headers["Upload-Offset"] == ("4" if method == "PATCH" else "0")


class TestLies:
    """Each gets the status that is due, and changes nothing."""

    @pytest.mark.parametrize(
        ("offset", "fields", "expected"),
        [
            (0, {}, (409, "offset-mismatch")),
            (99, {}, (409, "offset-mismatch")),
            (10**17, {}, (409, "offset-mismatch")),
            ("-1", {}, (400, "bad-request")),
            ("ten", {}, (400, "bad-request")),
            ("+10", {}, (400, "bad-request")),
            ("1e1", {}, (400, "bad-request")),
            ("9" * 30, {}, (400, "bad-request")),
            (10, {"Upload_Offset": None}, (400, "bad-request")),
            (10, {"Content_Type": "application/octet-stream"}, (415, "wrong-content-type")),
            (10, {"Content_Type": None}, (415, "wrong-content-type")),
            (10, {"Upload_Length": "21"}, (400, "bad-request")),
            (10, {"Upload_Checksum": "crc32 AAAA"}, (400, "bad-checksum")),
            (10, {"Upload_Checksum": "sha1"}, (400, "bad-checksum")),
            (10, {"Upload_Checksum": "sha1 " + encoded(bytes(19))}, (400, "bad-checksum")),
            (10, {"Upload_Checksum": "md5 " + encoded(bytes(20))}, (400, "bad-checksum")),
            (10, {"Upload_Checksum": "sha1 not base64"}, (400, "bad-checksum")),
            (10, {"Upload_Checksum": "sha1 " + encoded(bytes(20))}, (460, "checksum-mismatch")),
        ],
    )
    def test_a_patch_with_false_fields_appends_nothing(
        self, tus: Tus, offset: int | str, fields: dict, expected: tuple[int, str]
    ) -> None:
        url = tus.begin(length=20)
        tus.patch(url, 0, TEXT[:10])
        assert code(tus.patch(url, offset, b"lies", **fields)) == expected
        assert tus.offset(url) == 10
        assert tus.patch(url, 10, TEXT[10:20]).headers["Content-Location"]

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"Upload_Length": "-1"}, (400, "bad-request")),
            ({"Upload_Length": "ten"}, (400, "bad-request")),
            ({"Upload_Length": None}, (400, "bad-request")),
            ({"Upload_Defer_Length": "1"}, (400, "bad-request")),
            ({"Upload_Length": None, "Upload_Defer_Length": "2"}, (400, "bad-request")),
            ({"Upload_Length": str((5 << 30) + 1)}, (413, "too-large")),
            ({"Upload_Metadata": None}, (400, "bad-name")),
            ({"Upload_Metadata": "filename"}, (400, "bad-name")),
            ({"Upload_Metadata": "filename not-base64"}, (400, "bad-metadata")),
            ({"Upload_Metadata": "filename YS50eHQ="}, (201, "")),
            ({"Upload_Metadata": "filename YS50eHQ"}, (400, "bad-metadata")),
            ({"Upload_Metadata": "filename YS50eHQ=,filename YS50eHQ="}, (400, "bad-metadata")),
            ({"Upload_Metadata": ",filename YS50eHQ="}, (400, "bad-metadata")),
            (named("../etc.txt"), (400, "bad-name")),
            (named("noextension"), (400, "no-extension")),
            (named("virus.exe"), (415, "extension-not-allowed")),
            (named("taken.txt"), (409, "name-taken")),
            ({"Upload_Concat": "parts"}, (400, "bad-request")),
            ({"Upload_Concat": "final;"}, (400, "bad-request")),
            ({"Upload_Concat": "final;/tus/" + "0" * 32}, (400, "bad-request")),
            ({"Upload_Metadata": "filename " + "A" * 65536}, (431, "bad-request")),
        ],
    )
    def test_a_creation_with_false_fields_creates_nothing(
        self, tus: Tus, server: LiveServer, fields: dict, expected: tuple[int, str]
    ) -> None:
        (server.store / "taken.txt").write_bytes(TEXT)
        uploads = server.store / ".fileservice/uploads"
        before = set(uploads.iterdir())
        answer = tus.create(length=10, **fields)
        if expected[0] == 431:
            assert answer.status_code == 431
        elif expected[0] == 201:
            assert answer.status_code == 201
            return
        else:
            assert code(answer) == expected
        assert set(uploads.iterdir()) <= before  # others may expire meanwhile

    @pytest.mark.parametrize(
        "upload",
        ["0" * 32, "0" * 31, "..%2f..%2fetc", "a%00b", "%2e%2e", "x/y", "A" * 32, "a" * 300, "ä"],
    )
    def test_an_invalid_upload_id_is_not_found(self, tus: Tus, upload: str) -> None:
        url = f"/tus/{upload}"
        assert tus.head(url).status_code == 404
        assert code(tus.patch(url, 0, b"some")) == (404, "not-found")
        assert code(tus.delete(url)) == (404, "not-found")

    def test_a_patch_beyond_the_length_is_refused_before_it_is_read(
        self, server: LiveServer
    ) -> None:
        with server.client() as client:
            url = Tus(client).begin(length=20)
            with Wire(server) as wire:
                head = request(
                    f"PATCH {url.removeprefix(server.url)}",
                    *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
                    *("Upload-Offset: 0", "Content-Length: 21", "Expect: 100-continue"),
                )
                assert wire.ask(head).status == 413
            assert Tus(client).offset(url) == 0

    def test_an_endless_body_is_cut_at_the_length(self, tus: Tus, client) -> None:
        url = tus.begin(length=20)
        assert code(tus.patch(url, 0, iter([TEXT[:15], TEXT[15:30]]))) == (413, "too-large")
        offset = tus.offset(url)
        assert offset in (0, 15)  # as the two blocks came, together or not
        assert tus.patch(url, offset, TEXT[offset:20]).status_code == 204
        assert client.get("/download/note.txt").content == TEXT[:20]


class TestExtensions:
    def test_a_creation_with_a_body_stores_the_first_bytes(
        self, tus: Tus, client: httpx.Client
    ) -> None:
        answer = tus.create(length=20, body=TEXT[:8])
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "8")
        tus.patch(answer.headers["Location"], 8, TEXT[8:20])
        assert client.get("/download/note.txt").content == TEXT[:20]

    @pytest.mark.parametrize(
        "checksum", ["sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha1 ?", "crc32 AAAA"]
    )
    def test_a_creation_whose_first_bytes_fail_leaves_nothing(
        self, tus: Tus, server: LiveServer, checksum: str
    ) -> None:
        uploads = server.store / ".fileservice" / "uploads"
        before = {path.name for path in uploads.iterdir()}
        answer = tus.create(length=64 << 20, body=b"text", Upload_Checksum=checksum)
        assert answer.status_code in (400, 460)
        assert {path.name for path in uploads.iterdir()} <= before  # others may expire meanwhile

    def test_a_head_overridden_by_post_leaves_the_connection_in_step(
        self, client: httpx.Client
    ) -> None:
        fields = {"Tus-Resumable": "1.0.0", "X-HTTP-Method-Override": "HEAD"}
        for _ in range(3):
            answer = client.post(f"/tus/{'0' * 32}", headers=fields)
            assert (answer.status_code, answer.content) == (404, b"")

    def test_a_creation_with_the_whole_file_publishes_it(
        self, tus: Tus, client: httpx.Client
    ) -> None:
        answer = tus.create(length=20, body=TEXT[:20])
        assert client.get(answer.headers["Content-Location"]).content == TEXT[:20]

    def test_an_upload_of_length_zero_is_published_at_once(
        self, tus: Tus, client: httpx.Client
    ) -> None:
        answer = tus.create(length=0)
        assert client.get(answer.headers["Content-Location"]).content == b""

    def test_a_length_can_be_declared_later(self, tus: Tus, client: httpx.Client) -> None:
        url = tus.begin(Upload_Defer_Length="1")
        tus.patch(url, 0, TEXT[:5])
        answer = tus.head(url)
        assert answer.headers["Upload-Defer-Length"] == "1"
        assert "Upload-Length" not in answer.headers
        tus.patch(url, 5, TEXT[5:10], Upload_Length="12")
        assert tus.head(url).headers["Upload-Length"] == "12"
        tus.patch(url, 10, TEXT[10:12])
        assert client.get("/download/note.txt").content == TEXT[:12]

    @pytest.mark.parametrize("algorithm", CHECKSUMS)
    def test_a_checksum_is_verified(self, tus: Tus, client: httpx.Client, algorithm: str) -> None:
        url = tus.begin(length=20)
        assert (
            tus.patch(url, 0, TEXT[:9], Upload_Checksum=checksum(algorithm, TEXT[:9])).headers[
                "Upload-Offset"
            ]
            == "9"
        )
        wrong = tus.patch(url, 9, TEXT[9:20], Upload_Checksum=checksum(algorithm, b"other"))
        assert wrong.status_code == 460
        assert tus.offset(url) == 9
        tus.patch(url, 9, TEXT[9:20], Upload_Checksum=checksum(algorithm, TEXT[9:20]))
        assert client.get("/download/note.txt").content == TEXT[:20]

    def test_a_terminated_upload_is_gone(self, tus: Tus, server: LiveServer) -> None:
        url = tus.begin(length=20)
        tus.patch(url, 0, TEXT[:9])
        assert tus.delete(url).status_code == 204
        assert tus.head(url).status_code == 404
        assert code(tus.patch(url, 9, b"more")) == (404, "not-found")
        upload = url.rpartition("/")[2]
        assert not list((server.store / ".fileservice/uploads").glob(f"{upload}*"))

    def test_partial_uploads_are_concatenated_into_one_file(
        self, tus: Tus, client: httpx.Client
    ) -> None:
        parts = []
        for data in (TEXT[:100], TEXT[100:150], TEXT[150:]):
            url = tus.begin(length=len(data), Upload_Metadata=None, Upload_Concat="partial")
            assert tus.head(url).headers["Upload-Concat"] == "partial"
            tus.patch(url, 0, data)
            parts.append(url)
        parts[1] = httpx.URL(parts[1]).path
        answer = tus.create(Upload_Concat=f"final;{' '.join(parts)}")
        assert answer.status_code == 201
        assert client.get(answer.headers["Content-Location"]).content == TEXT
        final = answer.headers["Location"]
        head = tus.head(final)
        assert head.headers["Upload-Concat"].startswith("final;")
        assert head.headers["Upload-Length"] == head.headers["Upload-Offset"] == str(len(TEXT))
        assert code(tus.patch(final, len(TEXT), b"more")) == (403, "forbidden")
        assert [tus.head(part).status_code for part in parts] == [404] * 3

    def test_unfinished_partial_uploads_are_not_concatenated(self, tus: Tus) -> None:
        url = tus.begin(length=10, Upload_Concat="partial")
        for part in (url, "/tus/" + "0" * 32, "https://elsewhere.example/x"):
            answer = tus.create(Upload_Concat=f"final;{part}")
            assert code(answer) == (400, "bad-concat")
        assert tus.offset(url) == 0

    def test_a_wrong_type_is_refused_with_its_first_bytes(
        self, tus: Tus, server: LiveServer
    ) -> None:
        url = tus.begin("image.png", 100_000)
        assert code(tus.patch(url, 0, TEXT[:5000])) == (415, "content-mismatch")
        assert tus.head(url).status_code == 410
        gone = tus.patch(url, 0, TEXT[:5000])
        assert code(gone) == (410, "upload-gone")
        assert "image/png" in gone.json()["detail"]
        assert not server.keeps_bytes_of(url.rpartition("/")[2])

    @pytest.mark.parametrize("ending", ["broken off", "complete"])
    def test_content_that_is_refused_at_the_end_of_a_body_is_never_published(
        self, server: LiveServer, tus: Tus, client: httpx.Client, ending: str
    ) -> None:
        """Large blocks are scanned beside the request, which may end before they are."""
        text = b"a line of text\n" * (440 * 1024 // 15)
        for refused_at in (200 * 1024, len(text) - 1):
            body = text[:refused_at] + b"\x00" + text[refused_at + 1 :]
            url = tus.begin(length=len(body) + 1000)
            with Wire(server) as wire:
                size = len(body) + (1000 if ending == "broken off" else 0)
                fields = VERSION | BYTES | {"Upload-Offset": "0", "Content-Length": str(size)}
                path = url.removeprefix(server.url)
                lines = (f"{name}: {value}" for name, value in fields.items())
                wire.send(request(f"PATCH {path}", *lines) + body)
                wire.finish()
                assert wire.answer().status in (400, 415)
            if tus.head(url).status_code != 410:  # the scan had not got so far
                tus.patch(url, tus.offset(url), b"x" * (len(body) + 1000 - tus.offset(url)))
            assert tus.head(url).status_code == 410
            assert client.get("/download/note.txt").status_code == 404

    def test_real_documents_keep_their_types(
        self, tus: Tus, client: httpx.Client, sample: Callable[[str], Path]
    ) -> None:
        for name in ("note.pdf", "note.doc", "note.docx", "t.ods", "img.png"):
            data = sample(name).read_bytes()
            url = tus.begin(name, len(data))
            for offset in range(0, len(data), 3000):
                assert tus.patch(url, offset, data[offset : offset + 3000]).status_code == 204
            assert client.get(f"/download/{name}").content == data

    def test_uploads_expire(self, start_server: Callable[..., LiveServer]) -> None:
        # Stores tell the time in whole seconds, and the first answers have to come before the end.
        server = start_server(UPLOAD_EXPIRY="3s", WORKERS="2")
        with server.client() as client:
            tus, url = Tus(client), ""

            def is_seen_to_expire() -> bool:
                """On a machine that is busy, it may have expired, or be forgotten, too early."""
                nonlocal url
                answer = tus.create(length=20)
                url = answer.headers["Location"]
                assert parsedate_to_datetime(answer.headers["Upload-Expires"])
                if tus.patch(url, 0, TEXT[:9]).headers.get("Upload-Expires") is None:
                    return False
                eventually(lambda: tus.head(url).status_code != 200)
                return tus.head(url).status_code == 410

            eventually(is_seen_to_expire)
            assert not server.keeps_bytes_of(url.rpartition("/")[2])
            eventually(lambda: tus.head(url).status_code == 404)

    @pytest.mark.usefixtures("over_a_directory")
    def test_a_request_without_bytes_does_not_put_off_the_expiry(
        self, tus: Tus, server: LiveServer
    ) -> None:
        url = tus.begin(length=20)
        for path in (server.store / ".fileservice/uploads").glob(f"{url.rpartition('/')[2]}*"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 300))
        before = tus.head(url).headers["Upload-Expires"]
        assert tus.patch(url, 0, b"").headers["Upload-Expires"] == before
        assert tus.head(url).headers["Upload-Expires"] == before
        checked = tus.patch(url, 0, b"", Upload_Checksum=checksum("sha1", b""))
        reported, later = (
            parsedate_to_datetime(answer.headers["Upload-Expires"])
            for answer in (checked, tus.head(url))
        )
        # The kernel's time of a file may be some milliseconds, and so a second, behind the clock.
        assert reported - later in (timedelta(0), timedelta(seconds=1))

    def test_scripts_of_allowed_origins_may_upload(
        self, start_server: Callable[..., LiveServer]
    ) -> None:
        server = start_server(CORS_ORIGINS="https://app.example.org")
        with server.client() as client:
            origin = {"Origin": "https://app.example.org"}
            asked = origin | {
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "tus-resumable,upload-offset",
            }
            preflight = client.options("/tus/", headers=asked)
            assert preflight.headers["Access-Control-Allow-Origin"] == origin["Origin"]
            assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
            assert "upload-offset" in preflight.headers["Access-Control-Allow-Headers"]
            answer = Tus(client).create(length=5, Origin=origin["Origin"])
            assert "Upload-Offset" in answer.headers["Access-Control-Expose-Headers"]
            other = client.options("/tus/", headers=asked | {"Origin": "https://evil.example"})
            assert "Access-Control-Allow-Origin" not in other.headers

    def test_without_allowed_origins_no_foreign_script_may_upload(
        self, client: httpx.Client
    ) -> None:
        answer = client.options("/tus/", headers={"Origin": "https://app.example.org"})
        assert not any(name.startswith("access-control") for name in answer.headers)


@contextlib.contextmanager
def trickling_upload(server: LiveServer, tus: Tus) -> Iterator[tuple[str, Wire]]:
    """An upload of 1,000 bytes, and a request that has sent the first 100 and waits."""
    url = tus.begin(length=1000)
    with Wire(server) as wire:
        wire.send(
            request(
                f"PATCH {url.removeprefix(server.url)}",
                *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
                *("Upload-Offset: 0", "Content-Length: 1000"),
            )
            + TEXT[:100]
        )
        eventually(lambda: tus.offset(url) == 100)
        yield url, wire


@pytest.fixture
def trickling(server: LiveServer, tus: Tus) -> Iterator[tuple[str, Wire]]:
    with trickling_upload(server, tus) as found:
        yield found


class TestConnections:
    def test_a_new_request_takes_the_lock_from_one_that_receives_nothing(
        self, tus: Tus, client: httpx.Client, trickling: tuple[str, Wire]
    ) -> None:
        url, first = trickling
        # It is refused if the first one, on a machine that is busy, does not end in time.
        eventually(lambda: tus.patch(url, 100, TEXT[100:1000]).status_code == 204)
        assert client.get("/download/note.txt").content == TEXT[:1000]
        assert first.answer().status == 423
        assert first.ended()

    def test_a_request_that_still_receives_keeps_the_lock(
        self, server: LiveServer, client: httpx.Client, tus: Tus
    ) -> None:
        def keeps_it(url: str, first: Wire) -> bool:
            """Send its bytes one by one, until another request for the upload is answered."""
            sent, answered = 100, threading.Event()

            def send() -> None:
                nonlocal sent
                while sent < 1000 and not answered.wait(0.05):
                    first.send(TEXT[sent : sent + 1])
                    sent += 1

            sender = threading.Thread(target=send)
            with Wire(server) as second:
                sender.start()
                try:
                    asked = second.ask(
                        request(
                            f"PATCH {url.removeprefix(server.url)}",
                            *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
                            *("Upload-Offset: 100", "Content-Length: 900", "Expect: 100-continue"),
                        )
                    )
                finally:
                    answered.set()
                    sender.join()
            if asked.status != 423:
                return False
            first.send(TEXT[sent:1000])
            return first.answer().status == 204

        def is_kept() -> bool:
            """A pause of a second, which others may cause, looks like the end of its bytes."""
            with trickling_upload(server, tus) as (url, first):
                return keeps_it(url, first)

        eventually(is_kept)
        assert client.get("/download/note.txt").content == TEXT[:1000]

    def test_bytes_that_arrived_before_a_reset_are_kept(
        self, tus: Tus, client: httpx.Client, trickling: tuple[str, Wire]
    ) -> None:
        url, first = trickling
        first.send(TEXT[100:150])
        eventually(lambda: tus.offset(url) == 150)
        first.reset()
        assert tus.patch(url, 150, TEXT[150:1000]).status_code == 204
        assert client.get("/download/note.txt").content == TEXT[:1000]

    def test_bytes_of_a_chunked_body_that_breaks_off_are_kept(
        self, server: LiveServer, tus: Tus
    ) -> None:
        url = tus.begin(length=1000)
        with Wire(server) as wire:
            body = chunked(TEXT[:300])
            wire.send(
                request(
                    f"PATCH {url.removeprefix(server.url)}",
                    *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
                    *("Upload-Offset: 0", "Transfer-Encoding: chunked"),
                )
                + body[: -len(b"0\r\n\r\n")]
            )
            wire.finish()
            answer = wire.answer()
            assert answer.code() == "incomplete-body"
            assert b"before its end: the body ended before its last chunk" in answer.body
        assert tus.offset(url) == 300

    def test_other_files_are_served_while_an_upload_is_locked(
        self, client: httpx.Client, tus: Tus, trickling: tuple[str, Wire]
    ) -> None:
        client.put("/upload/other.txt", content=TEXT)
        assert client.get("/download/other.txt").content == TEXT
        assert tus.offset(trickling[0]) == 100

    def test_kill_9_of_the_server_keeps_every_byte_up_to_the_offset(
        self, start_server: Callable[..., LiveServer]
    ) -> None:
        server = start_server(WORKERS="2")
        with server.client() as client:
            url = Tus(client).begin(length=len(TEXT))
            promised = int(Tus(client).patch(url, 0, TEXT[:4000]).headers["Upload-Offset"])
        server.kill()
        server.start()
        with server.client() as client:
            tus = Tus(client)
            assert tus.offset(url) == promised == 4000
            assert tus.patch(url, promised, TEXT[promised:]).status_code == 204
            assert client.get("/download/note.txt").content == TEXT

    def test_kill_9_of_the_receiving_worker_releases_the_lock(
        self, start_server: Callable[..., LiveServer]
    ) -> None:
        server = start_server(WORKERS="1")
        with server.client() as client, Wire(server) as wire:
            tus = Tus(client)
            url = tus.begin(length=len(TEXT))
            wire.send(
                request(
                    f"PATCH {url.removeprefix(server.url)}",
                    *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
                    *("Upload-Offset: 0", f"Content-Length: {len(TEXT)}"),
                )
                + TEXT[:6000]
            )
            eventually(lambda: tus.offset(url) == 6000)
            (worker,) = server.workers()
            os.kill(worker, signal.SIGKILL)
            eventually(lambda: server.workers() not in ([], [worker]))
        with server.client() as client:
            tus = Tus(client)
            # On one machine at once; elsewhere, when the dead worker's lease has run out.
            eventually(lambda: tus.patch(url, 6000, TEXT[6000:]).status_code == 204, seconds=60)
            assert client.get("/download/note.txt").content == TEXT
