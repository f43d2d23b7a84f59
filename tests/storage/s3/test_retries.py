"""A bucket that refuses, resets, falls silent or answers nonsense is retried for some time."""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fileservice.storage import NotFound, StorageUnavailable
from fileservice.storage.s3 import retries
from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.errors import ErrorAnswer
from fileservice.storage.s3.listing import list_multipart_uploads, list_objects
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.store import S3Store
from fileservice.storage.s3.timing import Timing
from tests.storage.s3.conftest import OpenStore
from tests.storage.s3.requests import Send, around
from tests.storage.store_contract import NAME, content_of, publish, read
from tests.support.clock import Clock
from tests.support.faulty_proxy import FaultyProxy
from tests.support.rows import every_row
from tests.support.seaweed import SeaweedClient
from tests.support.wire import eventually

MIB = 1 << 20
DATA = secrets.token_bytes(MIB) * 20


@pytest.fixture
def proxy(seaweed: SeaweedClient) -> Iterator[FaultyProxy]:
    with FaultyProxy(seaweed.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_store(open_s3: OpenStore, proxy: FaultyProxy) -> S3Store:
    return open_s3(port=proxy.port)


class SleepingClock(Clock):
    """A clock that goes on while somebody sleeps, and never else."""

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def write(store: S3Store) -> None:
    writer = store.writer(len(DATA), stream_to=NAME)
    try:
        for offset in range(0, len(DATA), MIB):
            writer.write(DATA[offset : offset + MIB])
        writer.publish(NAME, content_of(DATA))
    finally:
        writer.close()


def test_parts_that_are_cut_off_are_sent_again(
    proxied_store: S3Store, proxy: FaultyProxy, seaweed: SeaweedClient, prefix: str
) -> None:
    proxy.resets, proxy.reset_after = 3, MIB
    write(proxied_store)
    assert proxy.resets == 0
    assert read(proxied_store, NAME) == DATA
    assert seaweed.unfinished(prefix) == []


@pytest.mark.parametrize("sequential", [True, False])
def test_reading_continues_where_it_was_cut_off(
    store: S3Store, proxied_store: S3Store, proxy: FaultyProxy, sequential: bool
) -> None:
    write(store)
    proxy.resets, proxy.reset_after = 3, 3 * MIB
    read_back = bytearray()
    with proxied_store.open(NAME, sequential=sequential).body as body:
        while block := body.read(1 << 18):
            read_back += block
    assert read_back == DATA
    assert proxy.resets == 0


@pytest.mark.parametrize("mode", ["refuse", "silence"])
def test_bucket_that_stays_away_raises_storage_unavailable_in_time(
    open_s3: OpenStore, proxy: FaultyProxy, mode
) -> None:
    read_seconds, retry, retry_with_body = 2.0, 1.0, 3.0
    store = open_s3(
        port=proxy.port,
        connect=1.0,
        read=read_seconds,
        retry=retry,
        retry_with_body=retry_with_body,
    )
    numbers = itertools.count()

    def works() -> bool:
        """Use the store; SeaweedFS may be too busy for these time limits."""
        name = f"{next(numbers)}.txt"
        try:
            with pytest.raises(NotFound):
                store.stat(NAME)
            publish(store, name, b"now")
            return read(store, name) == b"now"
        except StorageUnavailable:
            return False

    eventually(works, 60)
    proxy.become(mode)

    def seconds_until_error(call: Callable[[], object]) -> float:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            call()
        return time.monotonic() - began

    last_attempt = read_seconds + 15.0  # it begins before the limit, on a busy machine
    with ThreadPoolExecutor(3) as threads:
        stat = threads.submit(seconds_until_error, lambda: store.stat(NAME))
        check = threads.submit(seconds_until_error, store.check)
        # The proxy may pass its bytes on later, when nobody waits for them any more.
        stored = threads.submit(seconds_until_error, lambda: publish(store, "late.txt"))
        assert check.result() < last_attempt
        assert stat.result() < retry + last_attempt
        assert retry < stored.result() < retry_with_body + last_attempt
    proxy.cut()
    proxy.become("pass")
    eventually(works, 60)


def test_large_file_survives_a_short_absence_of_the_bucket(
    proxied_store: S3Store, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def come_back(send: Send, request: Request) -> Answer:
        """The bucket is back before the third request that would be refused."""
        if proxy.mode == "refuse":
            refused.append(1)
            if len(refused) == 3:
                proxy.become("pass")
        return send(request)

    around(monkeypatch, proxied_store.client, "upload_part", come_back)
    writer = proxied_store.writer(len(DATA), stream_to=NAME)
    try:
        writer.write(DATA[: 9 * MIB])
        proxy.become("refuse")
        writer.write(DATA[9 * MIB :])
        writer.publish(NAME, content_of(DATA))
    finally:
        writer.close()
    assert len(refused) == 3
    assert read(proxied_store, NAME) == DATA


def test_conflict_is_repeated_and_then_raises_storage_unavailable(
    open_s3: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS may answer 409 OperationAborted to anything while another operation is running."""
    clock = SleepingClock()
    monkeypatch.setattr(retries, "time", clock)
    store = open_s3(retry=0.5)
    answers = []

    def conflict(*_: object) -> Answer:
        answers.append(409)
        raise ErrorAnswer(409, "OperationAborted")

    writer = store.writer(stream_to=NAME)
    writer.write(b"x" * (9 * MIB))
    around(monkeypatch, store.client, "abort_multipart_upload", conflict)
    [upload] = list_multipart_uploads(store.client)
    with pytest.raises(StorageUnavailable, match="repeated for a while"):
        store.client.abort_multipart_upload(upload.key, upload.upload_id)
    assert len(answers) > 1
    answers.clear()
    writer.close()  # its error would hide the one for which the writer is closed
    assert len(answers) > 1


def test_keys_that_a_batch_could_not_delete_are_deleted_again(
    client: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_object("a", b"a")
    body = b"<Error><Key>a</Key><Code>InternalError</Code></Error>"
    failing = ConstantServer(b"<DeleteResult>" + body + b"</DeleteResult>")
    elsewhere, failed = client_of(failing), []

    def fail_once(send: Send, request: Request) -> Answer:
        if failed:
            return send(request)
        failed.append(request)
        return elsewhere.bucket.send(request)

    around(monkeypatch, client, "delete_objects", fail_once)
    client.delete_objects(["a"])
    assert list_objects(client, "") == []
    assert failed
    elsewhere.bucket.close()
    failing.close()


class ConstantServer:
    """Answers every request with 200 and the same body."""

    def __init__(self, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/xml")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        poll_seconds = 0.01  # for `shutdown`, which waits that long
        self._thread = threading.Thread(target=self._server.serve_forever, args=(poll_seconds,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def client_of(server: ConstantServer) -> S3Client:
    url = f"s3://files?endpoint=http://127.0.0.1:{server.port}&region=r"
    return S3Client(Location.parse(url), Timing(retry=0.0, retry_with_body=0.0))


BODIES = {
    "page": b"<html><p>Back soon<br></html>",
    "error": b"<Error><Code>InternalError</Code></Error>",
    "spaces": b"   ",
}
CALLS: dict[str, Callable[[S3Client], object]] = {
    "ListObjectsV2": lambda client: list_objects(client, ""),
    "CreateMultipartUpload": lambda client: client.create_multipart_upload("k", "a/b", {}),
    "CompleteMultipartUpload": lambda client: client.complete_multipart_upload(
        "k", "u", ["e"], if_match="e"
    ),
    "UploadPart": lambda client: client.upload_part("k", "u", 1, b""),
    "UploadPartCopy": lambda client: client.upload_part_copy("k", "u", 1, "s"),
    "HeadObject": lambda client: client.head_object("k"),
    "GetObject": lambda client: client.get_object("k"),
    "PutObject": lambda client: client.put_object("k", b""),
    "DeleteObjects": lambda client: client.delete_objects(["k"]),
    "ListMultipartUploads": lambda client: list(list_multipart_uploads(client)),
}


@pytest.fixture(scope="module", params=BODIES)
def nonsense(request: pytest.FixtureRequest, seaweed: SeaweedClient) -> Iterator[S3Client]:
    """A client of a server that answers every request with 200 and the same body."""
    server = ConstantServer(BODIES[request.param])
    client = client_of(server)
    yield client
    client.bucket.close()
    server.close()


@every_row("operation", CALLS)
def test_error_inside_200_raises_storage_unavailable(nonsense: S3Client, operation: str) -> None:
    with pytest.raises(StorageUnavailable):
        CALLS[operation](nonsense)
