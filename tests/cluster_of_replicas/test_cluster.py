"""Three replicas over one bucket, behind nginx: one service, whichever of them one talks to."""

import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from live import ROOT
from live_http.wire import eventually
from tus_clients.clients import PATIENCE, Client

from cluster.run import Cluster

MIB = 1024 * 1024
NAMES = 1000


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
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def test_replicas_are_killed_in_mid_upload_and_mid_download_and_nothing_is_lost(
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
                *PATIENCE, "--chunk-size", str(MIB),
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
    assert all(outcome.done for outcome in outcomes), outcomes
    assert digests == [expected] * 3
    for number, file in enumerate(files):
        name = f"{[tus_js, tuspy][number % 2].name}-{number}.txt"
        assert httpx.get(f"{cluster.url}/download/{name}", timeout=60).content == file.read_bytes()
    with httpx.Client(base_url=cluster.url, timeout=60) as client:
        for writer in writers:
            assert len(writer.acknowledged) > 10
            for name, text in writer.acknowledged.items():
                assert client.get(f"/download/{name}").content == text


@pytest.mark.parametrize(("count", "size"), [(NAMES, 100), (8, 9 * MIB)], ids=["small", "large"])
def test_of_uploads_through_different_replicas_one_has_the_name(
    cluster: Cluster, count: int, size: int
) -> None:
    clients = [httpx.Client(base_url=replica.url, timeout=60) for replica in cluster.replicas]
    bodies = [bytes([ord("a") + number]) * size for number in range(len(clients))]
    gate = threading.Barrier(len(clients))

    def put(number: int, name: str) -> int:
        gate.wait(60)
        return clients[number].put(f"/upload/{name}", content=bodies[number]).status_code

    with ThreadPoolExecutor(len(clients)) as together:
        for turn in range(count):
            name = f"race-{size}-{turn}.txt"
            statuses = list(together.map(put, range(len(clients)), [name] * len(clients)))
            assert Counter(statuses) == {201: 1, 409: 2}, name
            if turn % 20 == 0 or size > MIB:
                stored = clients[0].get(f"/download/{name}").content
                assert stored == bodies[statuses.index(201)]
    for client in clients:
        client.close()


def test_a_refusal_is_read_through_the_proxy_and_nothing_is_buffered_there(
    cluster: Cluster, make_text: Callable[..., Path]
) -> None:
    file = make_text(64 * MIB)
    done = subprocess.run(
        ["curl", "-sS", "-H", "Expect:", "-T", str(file), f"{cluster.url}/upload/a.exe"],
        capture_output=True,
        text=True,
    )
    assert '"extension-not-allowed"' in done.stdout


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
