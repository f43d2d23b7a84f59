"""Where a bucket is, how requests to it are signed, and over which connections they are sent."""

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from fileservice.storage import StorageUnavailable
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.endpoint import Endpoint
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.timing import Timing
from tests.storage.s3.conftest import OpenStore
from tests.storage.store_contract import NAME, publish
from tests.support.faulty_proxy import FaultyProxy
from tests.support.rows import every_row
from tests.support.seaweed import CREDENTIALS, SeaweedClient

WRITTEN = (200, {"ETag": '"e"'})


class Received(NamedTuple):
    path: str
    fields: Message
    client: tuple[str, int]


class RecordingServer:
    """Answers with the given statuses and fields in turn, and repeats the last.

    The first `overlapping` requests are each answered when another one has arrived. After each
    megabyte of a body, it waits for `pause` seconds.
    """

    def __init__(
        self,
        answers: list[tuple[int, dict[str, str]]],
        certificate: tuple[Path, Path] | None = None,
        *,
        overlapping: int = 0,
        pause: float = 0.0,
    ) -> None:
        self.received: list[Received] = []
        server, arrival = self, threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                left = int(self.headers["Content-Length"])
                while left:
                    left -= len(self.rfile.read(min(left, 1 << 20)))
                    time.sleep(pause)
                with arrival:
                    server.received.append(Received(self.path, self.headers, self.client_address))
                    number = len(server.received)
                    status, fields = answers.pop(0) if len(answers) > 1 else answers[0]
                    arrival.notify_all()
                    if number <= overlapping:
                        arrival.wait_for(lambda: len(server.received) > number, timeout=30)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **fields}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.scheme = "http"
        if certificate:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        poll_seconds = 0.01  # for `shutdown`, which waits that long
        self._thread = threading.Thread(target=self._server.serve_forever, args=(poll_seconds,))
        self._thread.start()

    def client(self, read_seconds: float = 60.0) -> S3Client:
        url = f"s3://files/p?endpoint={self.scheme}://127.0.0.1:{self.port}&region=here-1"
        timing = Timing(read=read_seconds, retry=0.0, retry_with_body=0.0)
        return S3Client(Location.parse(url), timing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]
) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=bucket", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_request_that_another_key_has_signed_is_refused(
    open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other tests show that the bucket accepts what the right key has signed."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(StorageUnavailable, match="SignatureDoesNotMatch"):
        publish(open_s3(), NAME, b"data")


def test_session_token_of_a_role_is_sent_and_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    with RecordingServer([WRITTEN]) as server:
        server.client().put_object("key", b"data")
        [request] = server.received
    assert request.fields["X-Amz-Security-Token"] == "token"
    assert "x-amz-security-token" in request.fields["Authorization"]
    assert request.fields["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    assert request.path == "/files/p/key"


@every_row("status", [301, 307, 400])
def test_bucket_of_another_region_is_asked_with_its_signature(status: int) -> None:
    elsewhere = (status, {"x-amz-bucket-region": "there-2"})
    with RecordingServer([elsewhere, WRITTEN]) as server:
        client = server.client()
        for _ in range(2):
            assert client.put_object("key", b"data").etag == '"e"'
        regions = [request.fields["Authorization"].split("/")[2] for request in server.received]
    assert regions == ["here-1", "there-2", "there-2"]


def test_bucket_that_names_its_region_in_vain_is_not_asked_for_ever() -> None:
    with RecordingServer([(400, {"x-amz-bucket-region": "there-2"})]) as server:
        with pytest.raises(StorageUnavailable):
            server.client().put_object("key", b"data")
        assert len(server.received) == 2


def test_requests_at_the_same_time_all_learn_of_another_region() -> None:
    """The one that is answered last finds that the other has been told already."""
    elsewhere = (301, {"x-amz-bucket-region": "there-2"})
    with (
        RecordingServer([elsewhere, elsewhere, WRITTEN], overlapping=2) as server,
        ThreadPoolExecutor(2) as threads,
    ):
        client = server.client()
        writes = [threads.submit(client.put_object, "key", b"data") for _ in range(2)]
        assert [write.result().etag for write in writes] == ['"e"'] * 2
        regions = [request.fields["Authorization"].split("/")[2] for request in server.received]
    assert regions == ["here-1", "here-1", "there-2", "there-2"]


@pytest.mark.thorough
def test_bucket_may_take_a_large_body_slowly() -> None:
    """The time limit is for each of its bytes, and not for all of them."""
    with RecordingServer([WRITTEN], pause=0.45) as server:
        client = server.client(read_seconds=10.0)
        assert client.put_object("key", bytes(24 << 20)).etag == '"e"'


def test_connection_is_used_again_until_the_server_closes_it() -> None:
    closing = (200, WRITTEN[1] | {"Connection": "close"})
    with RecordingServer([WRITTEN, WRITTEN, closing, WRITTEN]) as server:
        client = server.client()
        for _ in range(4):
            client.put_object("key", b"data")
        ports = [request.client[1] for request in server.received]
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_server_is_trusted_if_the_bundle_has_its_authority(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RecordingServer([WRITTEN], certificate) as server:
        with pytest.raises(StorageUnavailable, match="SSLCertVerificationError"):
            server.client().put_object("key", b"data")
        assert server.received == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
        assert server.client().put_object("key", b"data").etag == '"e"'


@pytest.fixture
def proxy(seaweed: SeaweedClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy that the environment names; all that it does is to connect to SeaweedFS."""
    with FaultyProxy(seaweed.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        yield proxy


def test_bucket_is_reached_through_the_proxy_of_the_environment(
    proxy: FaultyProxy, seaweed: SeaweedClient, prefix: str
) -> None:
    url = seaweed.url(prefix).replace(seaweed.endpoint, "http://bucket.invalid")
    client = S3Client(Location.parse(url), Timing())
    client.put_object(NAME, b"data")
    assert client.read_object(NAME)[1] == b"data"
    assert seaweed.keys(prefix) == [NAME]
    assert proxy.passed


@pytest.mark.thorough
@every_row(
    ("bucket", "region", "url"),
    [
        ("files", "eu-central-1", "https://files.s3.eu-central-1.amazonaws.com"),
        ("files", "cn-north-1", "https://files.s3.cn-north-1.amazonaws.com.cn"),
        ("my.files", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/my.files"),
    ],
)
def test_bucket_of_aws_is_where_botocore_finds_it(bucket: str, region: str, url: str) -> None:
    endpoint = Endpoint.of(Location(bucket, "p/", None, "us-west-2")).in_region(region)
    assert (endpoint.url, endpoint.region) == (url, region)


def test_endpoint_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert Endpoint.of(Location("files", "", None, None)).url == "http://127.0.0.1:1/files"
