"""The virus scanner over HTTP: nothing gets past it, and nothing but uploads waits for it."""

import io
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.clamd import EICAR, SIGNATURE, ClamdServer, false_clamd, read_stream
from tests.support.links import LinkMaker
from tests.support.servers import ROOT, LiveServer
from tests.support.tus import Tus
from tests.support.ways_in import WAYS, Way, form, put, tus_concatenation
from tests.support.wire import eventually

Start = Callable[..., LiveServer]
CLEAN = b"a text without a signature\n" * 3
MIB = 1 << 20


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdServer]:
    with ClamdServer(tmp_path_factory.mktemp("clamd")) as clamd:
        yield clamd


@pytest.fixture(scope="module")
def scanned(start_module_server: Start, clamd: ClamdServer) -> LiveServer:
    return start_module_server(CLAMD_URL=clamd.url, MAX_FILE_SIZE="32MiB")


@pytest.fixture
def client(scanned: LiveServer) -> Iterator[httpx.Client]:
    scanned.clear()
    with scanned.client() as client:
        yield client


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        writer.writestr("note.txt", content)
    return archive.getvalue()


def names(client: httpx.Client) -> list[str]:
    return [file["filename"] for file in client.get("/download").json()]


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    problem = answer.json()
    return answer.status_code, problem["code"], problem.get("signature")


REFUSED = (422, "refused-by-scanner", SIGNATURE)


@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_gets_past_the_scanner(client: httpx.Client, way: Way) -> None:
    answer = way(client, "note.txt", EICAR)
    assert refusal(answer) == REFUSED
    assert SIGNATURE in answer.json()["detail"]
    assert names(client) == []
    assert client.get("/download/note.txt").status_code == 404

    assert way(client, "note.txt", CLEAN).status_code in (201, 204)
    assert client.get("/download/note.txt").content == CLEAN


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_replacing_gets_past_the_scanner(client: httpx.Client, way: Way) -> None:
    etag = put(client, "note.txt", CLEAN).headers["ETag"]
    assert refusal(way(client, "note.txt", EICAR, etag)) == REFUSED
    assert client.get("/download/note.txt").content == CLEAN
    assert way(client, "note.txt", CLEAN + CLEAN, etag).status_code in (200, 201, 204)


@pytest.mark.parametrize("way", [put, form])
def test_guests_do_not_get_past_the_scanner(
    scanned: LiveServer, client: httpx.Client, way: Way
) -> None:
    link = LinkMaker.of(scanned).upload()
    headers = {"Authorization": f"Bearer {link.secret}"}
    with httpx.Client(base_url=scanned.url, headers=headers, timeout=60) as guest:
        assert refusal(way(guest, "from-note.txt", EICAR)) == REFUSED
        assert names(client) == []
        assert way(guest, "from-note.txt", CLEAN).status_code == 201


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archive_is_unpacked_by_the_scanner(client: httpx.Client, method: int) -> None:
    nested = zipped(zipped(CLEAN + EICAR, method), method)
    assert EICAR not in zipped(EICAR)
    assert refusal(put(client, "files.zip", nested)) == REFUSED
    assert put(client, "files.zip", zipped(zipped(CLEAN))).status_code == 201


@pytest.mark.thorough
def test_file_that_a_bucket_gets_in_parts_is_scanned_to_its_end(client: httpx.Client) -> None:
    """A JPEG is sent to its final object while it arrives, unless there is a scanner."""
    picture = (ROOT / "tests/samples/img.jpg").read_bytes() + os.urandom(20 * MIB)
    assert refusal(put(client, "a.jpg", picture + EICAR)) == REFUSED
    assert names(client) == []
    answer = put(client, "a.jpg", picture)
    assert answer.status_code == 201, answer.text
    assert client.get("/download/a.jpg").content == picture


def test_file_that_was_refused_cannot_be_uploaded_any_further(client: httpx.Client) -> None:
    tus = Tus(client)
    url = tus.begin(length=len(EICAR))
    assert refusal(tus.patch(url, 0, EICAR)) == REFUSED
    for answer in (tus.head(url), tus.patch(url, 0, EICAR), tus.patch(url, len(EICAR))):
        assert answer.status_code == 410
    assert names(client) == []


def test_partial_uploads_of_a_refused_file_are_removed(
    scanned: LiveServer, client: httpx.Client
) -> None:
    assert refusal(tus_concatenation(client, "note.txt", EICAR)) == REFUSED
    if isinstance(scanned.store, Path):
        assert list((scanned.store / ".fileservice/uploads").iterdir()) == []


def test_page_says_in_german_what_was_found(client: httpx.Client) -> None:
    headers = {"Accept": "text/html", "Accept-Language": "de"}
    page = client.put("/upload/note.txt", content=EICAR, headers=headers)
    assert page.status_code == 422
    assert f"Der Virenscanner hat in der Datei {SIGNATURE} gefunden" in page.text


def test_log_says_who_sent_what(scanned: LiveServer, client: httpx.Client) -> None:
    put(client, "it's.txt", EICAR)
    assert f'the file "it\'s.txt" of anonymous has {SIGNATURE}' in scanned.log()


class TestUnavailable:
    """clamd is stopped, or does not answer."""

    @pytest.fixture
    def own(self, tmp_path: Path) -> Iterator[ClamdServer]:
        with ClamdServer(tmp_path / "clamd") as own:
            yield own

    def test_nothing_is_published_until_clamd_answers(
        self, start_server: Start, own: ClamdServer
    ) -> None:
        server = start_server(CLAMD_URL=own.url, CLAMD_TIMEOUT="1s", MAX_FILE_SIZE="1MiB")
        with server.client() as client:
            tus = Tus(client)
            url = tus.begin("by tus.txt", length=len(CLEAN))
            own.suspend()
            for answer in (put(client, "note.txt", CLEAN), tus.patch(url, 0, CLEAN)):
                assert (answer.status_code, answer.json()["code"]) == (503, "scanner-unavailable")
                assert int(answer.headers["Retry-After"]) > 0
                assert "127.0.0.1" not in answer.text
            own.stop()
            assert put(client, "note.txt", CLEAN).json()["code"] == "scanner-unavailable"
            assert names(client) == []
            assert "the file 'note.txt' was not accepted" in server.log()
            assert "clamd cannot be reached: Connection refused" in server.log()

            own.start()
            eventually(lambda: put(client, "note.txt", CLEAN).status_code == 201)
            # No byte is sent again.
            eventually(lambda: tus.patch(url, len(CLEAN)).status_code == 204)
            assert sorted(names(client)) == ["by tus.txt", "note.txt"]

    def test_health_tells_a_scanner_that_is_down_from_a_store_that_is(
        self, start_server: Start, own: ClamdServer
    ) -> None:
        server = start_server(CLAMD_URL=own.socket_url, MAX_FILE_SIZE="1MiB")
        with server.client() as client:
            eventually(lambda: client.get("/readyz").status_code == 200)
            own.suspend()
            eventually(lambda: client.get("/readyz").status_code == 503)
            own.stop()
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
            assert client.get("/healthz").status_code == 200
            own.start()
            eventually(lambda: client.get("/readyz").status_code == 200)
        assert "the virus scanner does not work: clamd " in server.log()
        assert "the virus scanner works again" in server.log()

    def test_files_are_accepted_and_logged_if_the_operator_wants_that(
        self, start_server: Start, own: ClamdServer
    ) -> None:
        server = start_server(CLAMD_URL=own.url, CLAMD_FAIL="open", MAX_FILE_SIZE="1MiB")
        with server.client() as client:
            assert refusal(put(client, "a.txt", EICAR)) == REFUSED
            own.stop()
            assert put(client, "a.txt", EICAR).status_code == 201
        assert "the file 'a.txt' was accepted without a scan: clamd cannot be" in server.log()


class HeldScans:
    """A false clamd that says of every file that it is clean, once it may."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.may_end = threading.Event()
        self._threads: list[threading.Thread] = []

    def serve(self, connection: socket.socket) -> None:
        own = connection.dup()
        thread = threading.Thread(target=self._answer, args=(own,))
        self._threads.append(thread)
        thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the service may be killed at any time
            content = read_stream(connection)
            self.begun.append(content)
            self.may_end.wait(120)
            connection.sendall(b"stream: OK\0")

    def end(self) -> None:
        self.may_end.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def held() -> Iterator[HeldScans]:
    scans = HeldScans()
    yield scans
    scans.end()


@contextmanager
def serving(
    start_server: Start, held: HeldScans, **settings: str
) -> Iterator[tuple[LiveServer, ThreadPoolExecutor]]:
    with false_clamd(held.serve) as url, ThreadPoolExecutor(40) as threads:
        try:
            # /readyz is not asked here: it would be one of the connections.
            yield start_server(CLAMD_URL=url, **settings), threads
        finally:
            held.may_end.set()


def uploaded(server: LiveServer, name: str, **fields: str) -> httpx.Response:
    with httpx.Client(base_url=server.url, timeout=120, verify=False) as client:
        return client.put(f"/upload/{name}", content=CLEAN, headers=fields)


def test_scans_hold_up_neither_other_requests_nor_each_other(
    start_server: Start, held: HeldScans
) -> None:
    with serving(start_server, held, MAX_STAGED_CHECKS="3") as (server, threads):
        held.begun.clear()  # of the start
        count = 30  # more than there are threads for the store
        answers = [threads.submit(uploaded, server, f"{n}.txt") for n in range(count)]
        eventually(lambda: held.begun.count(CLEAN) == 3)
        with server.client() as client:
            for _ in range(5):
                assert client.get("/download").json() == []
                assert client.delete("/download/a.txt").status_code == 404
                assert client.get("/healthz").status_code == 200
        assert held.begun.count(CLEAN) == 3
        held.may_end.set()
        statuses = [answer.result().status_code for answer in answers]
        # A slow machine may have had some wait for longer than they may.
        assert statuses.count(201) + statuses.count(503) == count
        assert statuses.count(201) == len(server.published()) >= 3
        assert "requests are refused" not in server.log()


def test_rights_are_checked_after_the_scan(
    start_server: Start, held: HeldScans, tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    command = [sys.executable, "-m", "fileservice", "token"]
    environ = os.environ | {"FILESERVICE_ACCESS_FILE": str(rules)}

    def token(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], env=environ, cwd=ROOT, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    secret = token("new", "ci", "--scopes", "write")
    with serving(start_server, held, ACCESS_FILE=str(rules), ANONYMOUS="list") as (server, threads):
        held.begun.clear()
        fields = {"Authorization": f"Bearer {secret}"}
        answer = threads.submit(uploaded, server, "note.txt", **fields)
        eventually(lambda: CLEAN in held.begun)
        token("revoke", "ci")
        with server.client() as client:
            eventually(lambda: client.get("/download", headers=fields).status_code == 401)
        held.may_end.set()
        assert answer.result().status_code in (401, 403)
        assert server.published() == []


def test_nothing_of_a_scan_that_was_killed_is_published_before_the_next(
    start_server: Start, held: HeldScans
) -> None:
    with serving(start_server, held, UPLOAD_EXPIRY="1h") as (server, threads):
        held.begun.clear()
        with server.client() as client:
            url = httpx.URL(Tus(client).begin("by tus.txt", length=len(CLEAN))).path

        def append() -> httpx.Response:
            with server.client() as own:
                return Tus(own).patch(url, 0, CLEAN)

        answers = [threads.submit(uploaded, server, "note.txt"), threads.submit(append)]
        eventually(lambda: held.begun.count(CLEAN) == 2)
        server.kill()
        for answer in answers:
            with pytest.raises(httpx.TransportError):
                answer.result()
        held.may_end.set()
        server.start()
        with server.client() as client:
            assert names(client) == []
            # The lock of the process that was killed lasts for some seconds in a bucket.
            eventually(lambda: Tus(client).patch(url, len(CLEAN)).status_code == 204)
            assert names(client) == ["by tus.txt"]
        assert held.begun.count(CLEAN) == 3


def started(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the service, which is to exit."""
    environ = {name: text for name, text in os.environ.items() if "FILESERVICE" not in name}
    environ |= {f"FILESERVICE_{name}": text for name, text in settings.items()}
    environ |= {"FILESERVICE_STORE_URL": str(tmp_path / "store")}
    command = [sys.executable, "-m", "gunicorn"]
    return subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (50 * MIB + 1, "clamd takes no files of 52428801 bytes; raise StreamMaxLength"),
        (5 << 30, "clamd scans no files of 5368709120 bytes; call another scanner"),
    ],
)
def test_service_does_not_start_if_clamd_takes_no_files_as_large_as_it(
    clamd: ClamdServer, tmp_path: Path, size: int, reason: str
) -> None:
    exited = started(tmp_path, CLAMD_URL=clamd.url, MAX_FILE_SIZE=str(size))
    assert exited.returncode != 0
    assert f"fileservice cannot start: FILESERVICE_CLAMD_URL: {reason}" in exited.stderr
    assert "or lower FILESERVICE_MAX_FILE_SIZE" in exited.stderr


def test_service_starts_with_a_warning_if_files_may_be_accepted_without_a_scan(
    start_server: Start, clamd: ClamdServer
) -> None:
    server = start_server(CLAMD_URL=clamd.url, CLAMD_FAIL="open", MAX_FILE_SIZE=str(50 * MIB + 1))
    assert "StreamMaxLength" in server.log()
    with server.client() as client:
        eventually(lambda: client.get("/readyz").status_code == 200)


def test_service_starts_with_a_warning_while_clamd_does_not_answer(
    start_server: Start, tmp_path: Path
) -> None:
    server = start_server(CLAMD_URL=f"unix:{tmp_path}/none.ctl")
    assert "uploads are refused (503) until the virus scanner works: clamd cannot" in server.log()
    with server.client() as client:
        assert client.get("/readyz").status_code == 503
