"""Three replicas over one bucket, behind nginx, behave as one service."""

import base64
import contextlib
import hashlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cluster.run import Cluster
from tests.clients.clients import PERSISTENT, Client
from tests.support.servers import ROOT
from tests.support.wire import eventually

MIB = 1024 * 1024
DATA = (ROOT / "tests" / "samples" / "img.bmp").read_bytes() + secrets.token_bytes(MIB) * 30
TUS = {"Tus-Resumable": "1.0.0"}

pytestmark = pytest.mark.timeout(600)


@contextlib.contextmanager
def load(cluster: Cluster, log: Path) -> Iterator[None]:
    """locust's mix of users, for the length of a block."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]
    command += ["--headless", "-u", "6", "-r", "6", "-t", "120s", "--host", cluster.url]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as locust,
    ):
        try:
            yield
        finally:
            locust.terminate()


class Writer(threading.Thread):
    """Stores one small file after the other, and remembers those that were acknowledged."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        super().__init__()
        self._cluster = cluster
        self._name = name
        self._over = threading.Event()
        self.acknowledged: dict[str, bytes] = {}

    def run(self) -> None:
        with httpx.Client(base_url=self._cluster.url, timeout=60) as client:
            number = 0
            while not self._over.is_set():
                number += 1
                name, text = f"{self._name}-{number}.txt", os.urandom(2000).hex().encode()
                with contextlib.suppress(httpx.TransportError):
                    if client.put(f"/upload/{name}", content=text).status_code == 201:
                        self.acknowledged[name] = text

    def stop(self) -> None:
        self._over.set()
        self.join(60)
        assert not self.is_alive()


def wait_for_more(writers: list[Writer], count: int) -> None:
    """Wait until so many more files have been acknowledged."""

    def acknowledged() -> int:
        return sum(len(writer.acknowledged) for writer in writers)

    enough = acknowledged() + count
    eventually(lambda: acknowledged() >= enough, 60)


def download(cluster: Cluster, name: str, target: Path) -> bytes:
    """With curl, at 10 MiB/s, going on where it was cut; the SHA-256 of what it got."""
    done = subprocess.run(
        ["curl", "-sSf", "--limit-rate", "10M", "--retry", "50", "--retry-all-errors"]
        + ["--retry-delay", "1", "-C", "-", "-o", str(target), f"{cluster.url}/download/{name}"],
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@pytest.mark.thorough
def test_uploads_and_downloads_survive_kill_9_of_replicas(
    cluster: Cluster,
    tus_js: Client,
    tuspy: Client,
    make_text: Callable[..., Path],
    tmp_path: Path,
) -> None:
    large = make_text(60 * MIB, 99)
    assert httpx.put(
        f"{cluster.url}/upload/large.txt", content=large.read_bytes(), timeout=100
    ).is_success
    expected = hashlib.sha256(large.read_bytes()).digest()
    writers = [Writer(cluster, f"writer-{number}") for number in range(3)]
    files = [make_text((20 + number) * MIB, number) for number in range(4)]
    with load(cluster, tmp_path / "locust.log"), ThreadPoolExecutor(8) as together:
        for writer in writers:
            writer.start()
        uploads = [
            together.submit(
                client.upload, cluster.url, file, f"{client.name}-{number}.txt",
                *PERSISTENT, "--chunk-size", str(MIB),
            )
            for number, (client, file) in enumerate(zip([tus_js, tuspy] * 2, files, strict=True))
        ]  # fmt: skip
        downloads = [
            together.submit(download, cluster, "large.txt", tmp_path / f"got-{number}")
            for number in range(3)
        ]
        for replica in cluster.replicas[:2]:
            wait_for_more(writers, 30)
            replica.kill()
            replica.start()
            replica.wait()
        outcomes = [upload.result() for upload in uploads]
        digests = [found.result() for found in downloads]
        for writer in writers:
            writer.stop()
    assert not [outcome for outcome in outcomes if not outcome.done]
    assert digests == [expected] * 3
    for number, file in enumerate(files):
        name = f"{[tus_js, tuspy][number % 2].name}-{number}.txt"
        assert httpx.get(f"{cluster.url}/download/{name}", timeout=60).content == file.read_bytes()
    with httpx.Client(base_url=cluster.url, timeout=60) as client:
        for writer in writers:
            assert len(writer.acknowledged) > 10
            for name, text in writer.acknowledged.items():
                assert client.get(f"/download/{name}").content == text


def test_a_resumable_upload_continues_at_another_replica_after_kill_9(cluster: Cluster) -> None:
    first, second, third = cluster.replicas
    name = base64.b64encode(b"resumed.bmp").decode()
    created = httpx.post(
        f"{first.url}/tus/",
        headers=TUS | {"Upload-Length": str(len(DATA)), "Upload-Metadata": f"filename {name}"},
    )
    path = httpx.URL(created.headers["Location"]).path

    def patch(url: str, offset: int, end: int) -> httpx.Response:
        fields = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        return httpx.patch(url + path, headers=TUS | fields, content=DATA[offset:end], timeout=60)

    def offset(url: str) -> int:
        return int(httpx.head(url + path, headers=TUS, timeout=60).headers["Upload-Offset"])

    assert patch(first.url, 0, 10 << 20).status_code == 204
    assert patch(second.url, 10 << 20, 12 << 20).status_code == 204

    killed = threading.Event()

    def halting() -> Iterator[bytes]:
        for begin in range(12 << 20, len(DATA), 1 << 20):
            if begin > 24 << 20:
                killed.wait(60)
            yield DATA[begin : begin + (1 << 20)]

    def send() -> None:
        fields = {"Upload-Offset": str(12 << 20), "Content-Type": "application/offset+octet-stream"}
        with pytest.raises(httpx.TransportError):
            httpx.patch(second.url + path, headers=TUS | fields, content=halting(), timeout=60)

    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(send)
        eventually(lambda: offset(third.url) >= 20 << 20, seconds=30)
        second.kill()
        killed.set()

        def is_continued() -> bool:
            # What the second one had sent to the store may have come there only now.
            return patch(third.url, offset(third.url), len(DATA)).status_code == 204

        eventually(is_continued)
        sending.result(60)
    second.start()
    second.wait()
    assert httpx.get(f"{second.url}/download/resumed.bmp", timeout=60).content == DATA


@pytest.mark.thorough
def test_an_upload_in_one_request_is_whole_or_absent_after_kill_9(cluster: Cluster) -> None:
    victim, other, _ = cluster.replicas

    def body() -> Iterator[bytes]:
        yield DATA[: 20 << 20]
        victim.kill()
        yield DATA[20 << 20 :]

    with pytest.raises(httpx.TransportError):
        httpx.put(f"{victim.url}/upload/cut.bmp", content=body(), timeout=60)
    assert httpx.get(f"{other.url}/download/cut.bmp").status_code == 404
    assert httpx.put(f"{other.url}/upload/cut.bmp", content=DATA, timeout=60).status_code == 201
    victim.start()
    victim.wait()
    assert httpx.get(f"{victim.url}/download/cut.bmp", timeout=60).content == DATA


def test_a_download_continues_at_another_replica_after_kill_9(cluster: Cluster) -> None:
    victim, other, _ = cluster.replicas
    httpx.put(f"{other.url}/upload/read.bmp", content=DATA, timeout=60)
    got = bytearray()

    def download() -> None:
        with httpx.stream("GET", f"{victim.url}/download/read.bmp", timeout=60) as answer:
            for block in answer.iter_raw():
                if not got:
                    victim.kill()
                got.extend(block)

    etag = httpx.head(f"{other.url}/download/read.bmp").headers["ETag"]
    with pytest.raises(httpx.TransportError):
        download()
    assert len(got) < len(DATA)
    rest = httpx.get(
        f"{other.url}/download/read.bmp",
        headers={"Range": f"bytes={len(got)}-", "If-Range": etag},
        timeout=60,
    )
    assert rest.status_code == 206
    assert got + rest.content == DATA
    victim.start()
    victim.wait()


@pytest.mark.parametrize("races", [30, pytest.param(1000, marks=pytest.mark.thorough)])
def test_exactly_one_replica_wins_each_race_for_a_name(cluster: Cluster, races: int) -> None:
    urls = [server.url for server in cluster.replicas]
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(12) as threads:

        def put(name: str, url: str) -> int:
            return client.put(f"{url}/upload/{name}", content=f"{url}\n".encode()).status_code

        def race(number: int) -> None:
            name = f"race-{races}-{number}.txt"
            got = {url: racers.submit(put, name, url) for url in urls}
            statuses = {url: future.result() for url, future in got.items()}
            [winner] = [url for url, status in statuses.items() if status == 201]
            assert sorted(statuses.values()) == [201, 409, 409]
            stored = client.get(f"{urls[number % 3]}/download/{name}").text
            assert stored == f"{winner}\n"

        with ThreadPoolExecutor(36) as racers:
            list(threads.map(race, range(races)))


@pytest.mark.thorough
@pytest.mark.parametrize("races", [2, pytest.param(8, marks=pytest.mark.thorough)])
def test_exactly_one_large_file_wins_each_race_for_a_name(cluster: Cluster, races: int) -> None:
    clients = [httpx.Client(base_url=replica.url, timeout=60) for replica in cluster.replicas]
    bodies = [bytes([ord("a") + number]) * (9 * MIB) for number in range(len(clients))]
    gate = threading.Barrier(len(clients))

    def put(number: int, name: str) -> int:
        gate.wait(60)
        return clients[number].put(f"/upload/{name}", content=bodies[number]).status_code

    with ThreadPoolExecutor(len(clients)) as together:
        for number in range(races):
            name = f"large-race-{races}-{number}.txt"
            statuses = list(together.map(put, range(len(clients)), [name] * len(clients)))
            assert sorted(statuses) == [201, 409, 409]
            stored = clients[0].get(f"/download/{name}").content
            assert stored == bodies[statuses.index(201)]
    for client in clients:
        client.close()


def test_a_refusal_passes_the_proxy_before_the_body_is_sent(
    cluster: Cluster, make_text: Callable[..., Path]
) -> None:
    file = make_text(64 * MIB)
    done = subprocess.run(
        ["curl", "-sS", "-H", "Expect:", "-T", str(file), f"{cluster.url}/upload/a.exe"],
        capture_output=True,
        text=True,
    )
    assert '"extension-not-allowed"' in done.stdout


@pytest.mark.thorough
def test_addresses_in_answers_are_those_of_the_proxy(cluster: Cluster) -> None:
    answer = httpx.put(f"{cluster.url}/upload/where.txt", content=b"here")
    assert answer.headers["Location"] == f"{cluster.url}/download/where.txt"


def test_ranges_and_conditions_pass_the_proxy(cluster: Cluster) -> None:
    stored = httpx.put(f"{cluster.url}/upload/range.txt", content=b"0123456789")
    url = f"{cluster.url}/download/range.txt"
    part = httpx.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    tag = {"If-None-Match": stored.headers["ETag"]}
    assert httpx.get(url, headers=tag).status_code == 304


def test_no_interim_answer_is_sent_to_a_proxy(cluster: Cluster) -> None:
    done = subprocess.run(
        ["curl", "-sSi", "-H", "Upload-Draft-Interop-Version: 8", "-H", "Upload-Complete: ?0"]
        + ["--data-binary", "half", f"{cluster.url}/upload/draft.txt"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("HTTP/1.1 201 ")
