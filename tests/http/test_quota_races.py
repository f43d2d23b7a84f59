"""Quotas hold under races, over workers and replicas, and when workers are killed."""

import itertools
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.quota_tokens import KIB, access_file, secret
from tests.support.seaweed import SeaweedClient
from tests.support.servers import LiveServer, S3LiveServer
from tests.support.wire import ask, eventually, request


def compete(urls: list[str]) -> list[str]:
    """Let eight clients store files of 4 KiB until each is refused; return the stored names."""

    def run(number: int) -> list[str]:
        stored = []
        with httpx.Client(base_url=urls[number % len(urls)], timeout=60) as http:
            http.headers["Authorization"] = f"Bearer {secret(0)}"
            for count in itertools.count():
                name = f"{number}-{count}.txt"
                status = http.put(f"/upload/{name}", content=b"x" * 4 * KIB).status_code
                if status == 507:
                    return stored
                assert status == 201
                stored.append(name)
        raise AssertionError

    with ThreadPoolExecutor(8) as threads:
        return [name for names in threads.map(run, range(8)) for name in names]


def test_uploads_that_compete_for_the_last_bytes_over_two_workers_fill_them_exactly(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text(access_file('bytes = "256KiB"'))
    server = start_server(ACCESS_FILE=str(rules), WORKERS="2")

    stored = compete([server.url])

    assert len(stored) == 64
    assert sorted(server.published()) == sorted(stored)


@pytest.mark.thorough
def test_uploads_that_compete_for_the_last_bytes_over_two_replicas_fill_them_exactly(
    seaweed: SeaweedClient, tmp_path: Path
) -> None:
    rules = tmp_path / "access.toml"
    rules.write_text(access_file('bytes = "128KiB"'))
    prefix = f"replicas-{secrets.token_hex(8)}"
    settings = {"ACCESS_FILE": str(rules), "WORKERS": "1"}
    replicas = [S3LiveServer(seaweed, prefix, tmp_path, settings) for _ in range(2)]
    try:
        stored = compete([replica.url for replica in replicas])

        assert len(stored) == 32
        assert replicas[0].published() == sorted(stored)
    finally:
        for replica in replicas:
            replica.kill()


def test_workers_that_are_killed_leave_a_quota_that_heals(
    start_server: Callable[..., LiveServer], tmp_path: Path, over_a_directory: None
) -> None:
    """Workers die under load; the counter never says less than there is, and a recount is exact."""
    rules = tmp_path / "access.toml"
    quota = 1 << 30  # more than is stored while the test waits for a processor
    rules.write_text(access_file(f'bytes = "{quota}B"'))
    server = start_server(ACCESS_FILE=str(rules), WORKERS="2")
    stop = False

    def run(number: int) -> None:
        for count in itertools.count():
            if stop:
                return
            try:
                httpx.put(
                    f"{server.url}/upload/{number}-{count}.txt",
                    content=b"x" * 16 * KIB,
                    headers={"Authorization": f"Bearer {secret(0)}"},
                    timeout=60,
                )
            except httpx.TransportError:
                continue

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(run, number) for number in range(4)]
        for _ in range(3):
            before = len(server.published())
            eventually(lambda before=before: len(server.published()) > before + 5)
            server.kill_workers()
        stop = True
        for one in running:
            one.result()

    [path] = (server.store / ".fileservice/usage").iterdir()
    counter: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[2])
    size = sum((server.store / name).stat().st_size for name in server.published())
    counted = counter["stored"][0] + sum(held[0] for held in counter["reservations"].values())
    assert size <= counted <= quota
    path.unlink()
    fields = (f"Authorization: Bearer {secret(0)}", f"Content-Length: {quota}")
    refused = ask(server, request("PUT /upload/x.txt", *fields, "Expect: 100-continue"))
    assert refused.status == 507
    assert refused.json()["used"] == size
