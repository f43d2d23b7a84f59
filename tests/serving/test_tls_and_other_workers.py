"""The service over TLS and under gunicorn's own workers: the same bytes, if more slowly."""

import email
import email.policy
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.servers import ConfiguredServer, TlsServer
from tests.support.wire import Wire, chunked, eventually, request

LINE = b"a line of text that fills the file\n"
DATA = b"".join(b"%d: " % number + LINE for number in range(100_000))
PROBE = request("GET /healthz")


@pytest.fixture(scope="module")
def tls(
    tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]
) -> Iterator[TlsServer]:
    """A server with a certificate that it signed itself."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    server = TlsServer({"STORE_URL": str(directory / "store")}, certificate, key)
    yield server
    server.kill()


WAYS = {
    "transfer": "",
    "gevent": "worker_class = 'gevent'",
    "gthread": "worker_class = 'gthread'; threads = 4",
    "sync": "worker_class = 'sync'",
}


@pytest.fixture(params=[*WAYS, "tls"])
def server(
    request: pytest.FixtureRequest, start_server: Callable[..., ConfiguredServer]
) -> ConfiguredServer:
    """The service in each way."""
    if request.param != "tls":
        return start_server(WAYS[request.param])
    server: TlsServer = request.getfixturevalue("tls")
    server.clear()
    return server


@pytest.fixture
def client(server: ConfiguredServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def parts(answer: httpx.Response) -> list[bytes]:
    """The bodies in a multipart/byteranges answer."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(
        head + answer.content.replace(b"\n", b"\n"), policy=email.policy.HTTP
    )
    found = [part.get_payload(decode=True) for part in message.iter_parts()]
    assert all(isinstance(part, bytes) for part in found)
    return found  # type: ignore[return-value]


def test_upload_of_every_form_can_be_downloaded_unchanged(client: httpx.Client) -> None:
    assert client.put("/upload/raw.txt", content=DATA).status_code == 201
    blocks = (DATA[start : start + 70_001] for start in range(0, len(DATA), 70_001))
    assert client.put("/upload/chunks.txt", content=blocks).status_code == 201
    form = client.post("/upload", files={"file": ("form.txt", DATA)})
    assert form.status_code == 201
    for name in ("raw.txt", "chunks.txt", "form.txt"):
        assert client.get(f"/download/{name}").content == DATA


def test_range_requests_return_the_requested_bytes(client: httpx.Client) -> None:
    client.put("/upload/a.txt", content=DATA)
    size = len(DATA)
    for first, last in ((0, 0), (5, 20_000), (17_000, size - 2), (size - 1, size - 1)):
        answer = client.get("/download/a.txt", headers={"Range": f"bytes={first}-{last}"})
        assert (answer.status_code, answer.content) == (206, DATA[first : last + 1])


def test_multiple_range_requests_return_the_requested_bytes(client: httpx.Client) -> None:
    client.put("/upload/a.txt", content=DATA)
    for ranges in ([(0, 9), (100, 30_000), (2_000_000, 2_900_000)], [(5, 5), (700, 800)]):
        asked = ",".join(f"{first}-{last}" for first, last in ranges)
        answer = client.get("/download/a.txt", headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206
        assert len(answer.content) == int(answer.headers["Content-Length"])
        rest = answer.content
        for first, last in ranges:
            head, _, rest = rest.partition(b"\r\n\r\n")
            assert f"bytes {first}-{last}/{len(DATA)}".encode() in head
            assert rest[: last + 1 - first] == DATA[first : last + 1]
            rest = rest[last + 1 - first :]


def test_small_files_errors_and_empty_responses_are_the_same_everywhere(
    client: httpx.Client,
) -> None:
    assert client.put("/upload/a.txt", content=LINE).status_code == 201
    assert client.put("/upload/a.txt", content=LINE).json()["code"] == "name-taken"
    assert client.put("/upload/e.txt", content=b"").status_code == 201
    assert client.get("/download/a.txt").content == LINE
    assert client.get("/download/e.txt").content == b""
    assert client.head("/download/a.txt").headers["Content-Length"] == str(len(LINE))
    assert [entry["filename"] for entry in client.get("/download").json()] == ["a.txt", "e.txt"]
    assert client.delete("/download/a.txt").status_code == 204


def test_body_that_ends_early_stores_nothing(server: ConfiguredServer) -> None:
    for whole in (
        request("PUT /upload/a.txt", body=LINE * 1000),
        request("PUT /upload/a.txt", "Transfer-Encoding: chunked", body=chunked(LINE * 1000)),
    ):
        with Wire(server) as wire:
            wire.send(whole[:-3])
    eventually(lambda: not server.staged())
    assert server.published() == []


def test_random_range_requests_over_tls_return_the_requested_bytes(tls: TlsServer) -> None:
    tls.clear()
    tls.put("random.txt", DATA)
    numbers = random.Random(1)
    with tls.client() as client:
        for _ in range(30):
            first = numbers.randrange(len(DATA))
            last = min(len(DATA) - 1, first + 2 ** numbers.randrange(20))
            answer = client.get("/download/random.txt", headers={"Range": f"bytes={first}-{last}"})
            assert answer.content == DATA[first : last + 1]


def test_pipelining_and_100_continue_work_over_tls(tls: TlsServer) -> None:
    tls.clear()
    with Wire(tls) as wire:
        wire.send(request("PUT /upload/a.txt", body=LINE) * 2 + PROBE)
        assert [wire.answer().status for _ in range(3)] == [201, 409, 200]
        wire.send(request("PUT /upload/b.txt", "Expect: 100-continue", "Content-Length: 35"))
        assert wire.answer().status == 100
        wire.send(LINE)
        assert wire.answer().status == 201


def test_client_that_sends_a_large_refused_body_over_tls_reads_the_error(tls: TlsServer) -> None:
    tls.clear()
    tls.put("taken.txt", LINE)
    for _ in range(3):
        with Wire(tls) as wire:
            wire.send(request("PUT /upload/taken.txt", body=bytes(8 << 20)))
            assert wire.answer().code() == "name-taken"


def test_upload_interrupted_by_another_request_gets_its_error_over_tls(tls: TlsServer) -> None:
    """The connection ends for reading alone: the answer still goes out encrypted."""
    tls.clear()
    version = {"Tus-Resumable": "1.0.0"}
    body = version | {"Content-Type": "application/offset+octet-stream"}
    with tls.client() as client, Wire(tls) as first:
        creation = {"Upload-Length": "70", "Upload-Metadata": "filename YS50eHQ="}
        url = client.post("/tus/", headers=version | creation).headers["Location"]
        fields = [f"{name}: {value}" for name, value in body.items()]
        fields += ["Upload-Offset: 0", "Content-Length: 70"]
        first.send(request(f"PATCH {httpx.URL(url).path}", *fields) + LINE)
        eventually(lambda: client.head(url, headers=version).headers["Upload-Offset"] == "35")
        second = client.patch(url, headers=body | {"Upload-Offset": "35"}, content=LINE)
        assert second.status_code == 204
        assert first.answer().code() == "locked"
        assert client.get("/download/a.txt").content == LINE * 2


def test_unfinished_tls_handshake_ends_after_the_head_timeout(
    tls: TlsServer, tmp_path: Path
) -> None:
    """A handshake that never ends holds a descriptor and a place in the pool."""
    server = TlsServer(
        {"STORE_URL": str(tmp_path / "store")},
        tls.certificate,
        tls.certificate.with_name("key.pem"),
        head_seconds=8,  # in which both are seen
    )
    try:
        eventually(lambda: not server.open_descriptors())
        with server.connect_silently() as silent, server.connect_silently() as halting:
            halting.sendall(b"\x16\x03\x01")
            assert silent
            eventually(lambda: len(server.open_descriptors()) == 2)
            eventually(lambda: not server.open_descriptors())
    finally:
        server.kill()


def test_server_with_only_idle_tls_connections_stops_at_once(
    tls: TlsServer, tmp_path: Path
) -> None:
    server = TlsServer(
        {"STORE_URL": str(tmp_path / "store"), "GRACE_PERIOD": "200s"},
        tls.certificate,
        tls.certificate.with_name("key.pem"),
    )
    try:
        with Wire(server) as kept, Wire(server):
            assert kept.ask(PROBE).status == 200
            eventually(lambda: len(server.open_descriptors()) == 2)
            assert server.stop() == 0  # within 60 s; they could stay idle for 200 s
        assert "Traceback" not in server.log()
    finally:
        server.kill()
