"""What is particular to the service over a bucket, whatever store the other tests are run on."""

import io
import re
import secrets
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fileservice.names import FileName
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.timing import Timing
from tests.support.faulty_proxy import FaultyProxy
from tests.support.memory import growth_of
from tests.support.seaweed import Seaweed
from tests.support.servers import S3LiveServer
from tests.support.tus import Tus
from tests.support.wire import eventually

BMP = (Path(__file__).parent.parent / "samples/img.bmp").read_bytes()
MIB = 1 << 20
DATA = BMP + secrets.token_bytes(MIB) * 40
TWO_PARTS = DATA[: 12 * MIB]

Start = Callable[..., S3LiveServer]


@pytest.fixture
def start(seaweed: Seaweed, tmp_path: Path) -> Iterator[Start]:
    servers: list[S3LiveServer] = []

    def begin(**settings: str) -> S3LiveServer:
        servers.append(S3LiveServer(seaweed, f"h-{tmp_path.name}", tmp_path, settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


def test_ranges_are_passed_through(start: Start) -> None:
    with start(WORKERS="1").client() as client:
        stored = client.put("/upload/a.bmp", content=DATA)
        assert stored.status_code == 201
        for first, last in ((0, 0), (5, 5 * MIB), (30 * MIB, 30 * MIB + 9), (len(DATA) - 1, None)):
            field = f"bytes={first}-{'' if last is None else last}"
            answer = client.get("/download/a.bmp", headers={"Range": field})
            assert answer.status_code == 206
            assert answer.content == DATA[first : None if last is None else last + 1]
        answer = client.get("/download/a.bmp", headers={"Range": "bytes=1-2,20000000-20000004,-3"})
        assert answer.status_code == 206
        for part in (DATA[1:3], DATA[20_000_000:20_000_005], DATA[-3:]):
            assert b"\r\n\r\n" + part + b"\r\n--" in answer.content
        assert client.get("/download/a.bmp").content == DATA
        head = client.head("/download/a.bmp")
        assert head.headers["Repr-Digest"] == stored.headers["Repr-Digest"]
        same = client.get("/download/a.bmp", headers={"If-None-Match": head.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")


def test_a_download_is_redirected_to_the_bucket(start: Start) -> None:
    with start(WORKERS="1", DOWNLOAD_REDIRECT="true").client() as client:
        client.put("/upload/a.bmp", content=TWO_PARTS)
        answer = client.get("/download/a.bmp")
        assert answer.status_code == 307
        assert client.head("/download/a.bmp").status_code == 200
        there = httpx.get(answer.headers["Location"])
        assert there.content == TWO_PARTS, there.text[:300]
        assert there.headers["Content-Type"] == "image/bmp"
        assert there.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.thorough
def test_memory_does_not_grow_with_uploads_to_a_bucket(start: Start) -> None:
    server = start(WORKERS="1")
    (worker,) = server.workers()
    with server.client() as client:
        client.put("/upload/warm.bmp", content=DATA)
        client.get("/download/warm.bmp")
        blocks = [BMP, *[secrets.token_bytes(MIB)] * 200]
        with growth_of(worker) as growth:
            assert client.put("/upload/a.bmp", content=iter(blocks)).status_code == 201
            with client.stream("GET", "/download/a.bmp") as answer:
                size = sum(len(block) for block in answer.iter_raw())
        assert size == sum(map(len, blocks))
    assert growth.bytes < 48 * MIB  # three parts of 8 MiB, and what is under way beside them


@pytest.mark.thorough
def test_a_bucket_that_cannot_be_reached_is_answered_with_503_until_it_can(
    start: Start, seaweed: Seaweed
) -> None:
    with FaultyProxy(seaweed.port) as proxy:
        url = seaweed.url("h-away", proxy.port)
        server = start(WORKERS="1", STORE_URL=url)
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert client.put("/upload/a.bmp", content=DATA).status_code == 201
            proxy.become("refuse")
            answer = client.get("/download/a.bmp")
            assert (answer.status_code, answer.json()["code"]) == (503, "storage-unavailable")
            assert answer.headers["Retry-After"]
            assert client.put("/upload/b.bmp", content=DATA).status_code == 503
            proxy.become("pass")
            assert client.get("/download/a.bmp").content == DATA
            assert client.get("/download/b.bmp").status_code == 404
            assert client.put("/upload/b.bmp", content=DATA).status_code == 201


@pytest.mark.thorough
def test_an_upload_succeeds_though_the_bucket_cannot_be_reached_for_half_a_minute(
    start: Start, seaweed: Seaweed
) -> None:
    half = len(DATA) // 2
    with FaultyProxy(seaweed.port) as proxy:
        server = start(WORKERS="1", STORE_URL=seaweed.url("h-gone", proxy.port))

        def body() -> Iterator[bytes]:
            yield DATA[:half]
            proxy.become("refuse")
            back.start()
            yield DATA[half:]

        back = threading.Timer(30, proxy.become, ["pass"])
        with (
            httpx.Client(base_url=server.url, timeout=100) as client,
            ThreadPoolExecutor(1) as thread,
        ):
            client.put("/upload/a.txt", content=b"small")
            uploading = thread.submit(httpx.put, f"{server.url}/upload/b.bmp",
                                      content=body(), timeout=100)  # fmt: skip
            eventually(lambda: proxy.mode == "refuse")
            began = time.monotonic()
            assert client.get("/download/a.txt").status_code == 503
            assert time.monotonic() - began < 20
            assert uploading.result().status_code == 201
            assert client.get("/download/b.bmp").content == DATA
            assert client.get("/download/a.txt").content == b"small"


def test_uploads_to_a_bucket_write_nothing_to_the_disk(start: Start) -> None:
    server = start(WORKERS="1")
    (worker,) = server.workers()
    docx = (Path(__file__).parent.parent / "samples/note.docx").read_bytes()
    with server.client() as client:
        client.put("/upload/warm.bmp", content=TWO_PARTS)
        before = written_by(worker)
        assert client.put("/upload/a.bmp", content=TWO_PARTS).status_code == 201
        assert client.post("/upload", files={"file": ("b.bmp", TWO_PARTS)}).status_code == 201
        padded = padded_zip(docx, 12 * MIB)
        assert client.put("/upload/c.docx", content=padded).status_code == 201
        tus = Tus(client)
        url = tus.begin("d.bmp", len(TWO_PARTS))
        assert tus.patch(url, 0, TWO_PARTS).status_code == 204
        assert client.get("/download/d.bmp").content == TWO_PARTS
        assert client.get("/download/c.docx").content == padded
    assert written_by(worker) - before < MIB


def test_a_download_that_is_cut_is_not_fetched_further(start: Start, seaweed: Seaweed) -> None:
    with FaultyProxy(seaweed.port) as proxy:
        server = start(WORKERS="1", STORE_URL=seaweed.url("h-cut", proxy.port))
        with server.client() as client:
            client.put("/upload/a.bmp", content=DATA)
            proxy.passed = 0
            with client.stream("GET", "/download/a.bmp") as answer:
                next(answer.iter_raw())
        with server.client() as client:
            assert client.get("/download/a.bmp", headers={"Range": "bytes=0-9"}).content == BMP[:10]
        assert proxy.passed < len(DATA) // 2


def written_by(pid: int) -> int:
    """Bytes that a process has caused to be written to a disk."""
    match = re.search(r"^write_bytes: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


def padded_zip(archive: bytes, size: int) -> bytes:
    """The same archive with a member of random bytes more."""
    file = io.BytesIO(archive)
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("word/media/image1.png", secrets.token_bytes(size))
    return file.getvalue()


@pytest.mark.thorough
def test_an_upload_to_a_reserved_name_keeps_its_bytes_and_ends_later(
    start: Start, seaweed: Seaweed
) -> None:
    """As after a kill -9 of another replica in the step of giving the name to a large file."""
    server = start(WORKERS="1")
    bucket = S3Client(Location.parse(seaweed.url(server.prefix)), Timing())
    with server.client() as client:
        tus = Tus(client)
        url = tus.begin("a.bmp", len(BMP))
        reserved = reservation.reserve(bucket, FileName.parse("a.bmp"), "0" * 32)
        for answer in (
            tus.patch(url, 0, BMP),
            tus.create("a.bmp", len(BMP)),
            client.put("/upload/a.bmp", content=BMP),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "busy")
            assert answer.headers["Retry-After"]
        assert client.get("/download/a.bmp").status_code == 404
        bucket.delete_object("a.bmp", reserved)
        assert tus.offset(url) == len(BMP)
        assert client.get("/download/a.bmp").content == BMP
