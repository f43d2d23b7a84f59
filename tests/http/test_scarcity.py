"""Errors of a service that lacks descriptors, its store, or space."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.problems import BROWSER, TEXT, assert_problem, assert_problem_page
from tests.support.servers import LiveServer
from tests.support.wire import (
    Wire,
    ask,
    assert_holds_only,
    chunked,
    eventually,
    form,
    form_request,
    part,
    request,
)

Tool = Callable[[str], str]

FEW_DESCRIPTORS = 64


@pytest.fixture(scope="module")
def poor_server(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Iterator[LiveServer]:
    """A server whose one worker may have few descriptors."""
    server = LiveServer(
        {"STORE_URL": str(tmp_path_factory.mktemp("poor") / "store"), "WORKERS": "1"},
        tool("prlimit"),
        f"--nofile={FEW_DESCRIPTORS}:{FEW_DESCRIPTORS}",
    )
    yield server
    server.stop()


@contextlib.contextmanager
def descriptors_used_up(server: LiveServer) -> Iterator[Wire]:
    """A connection to a process all of whose other descriptors are taken."""
    descriptors = Path(f"/proc/{server.workers()[0]}/fd")
    with contextlib.ExitStack() as crowd, Wire(server) as wire:
        assert wire.ask(request("GET /healthz")).status == 200
        # No more than it has: a worker that waits for a processor accepts none of them meanwhile.
        for _ in range(FEW_DESCRIPTORS):
            crowd.enter_context(server.connect())
        eventually(lambda: len(list(descriptors.iterdir())) >= FEW_DESCRIPTORS)
        yield wire
        crowd.close()
        eventually(lambda: len(list(descriptors.iterdir())) < FEW_DESCRIPTORS)


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /download/a.txt"),
        request("PUT /upload/b.txt", body=TEXT),
        form_request(form(part("file", TEXT, "b.txt"))),
        request("GET /download"),
        request("DELETE /download/a.txt"),
    ],
    ids=["download", "upload", "form", "list", "delete"],
)
def test_a_worker_without_free_descriptors_answers_busy_and_recovers(
    poor_server: LiveServer, asked: bytes
) -> None:
    poor_server.clear()
    (poor_server.store / "a.txt").write_bytes(TEXT)
    with descriptors_used_up(poor_server) as wire:
        answer = wire.ask(asked)
        assert_problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) > 0
    assert_holds_only(poor_server, ["a.txt"])
    with Wire(poor_server) as wire:
        assert wire.ask(asked).status < 300


def test_a_worker_without_free_descriptors_answers_a_browser_with_a_page(
    poor_server: LiveServer,
) -> None:
    poor_server.clear()
    with descriptors_used_up(poor_server) as wire:
        assert_problem_page(wire.ask(request("PUT /upload/b.txt", BROWSER, body=TEXT)), 503, "busy")


def test_a_store_that_was_moved_away_is_unavailable_until_it_is_back(
    start_server, tmp_path: Path
) -> None:
    server = start_server(WORKERS="1")
    (server.store / "a.txt").write_bytes(TEXT)
    away = tmp_path / "away"
    shutil.move(server.store, away)
    eventually(
        lambda: ask(server, request("GET /healthz")).status == 503
    )  # looked at once a second
    for asked in (
        request("GET /download/a.txt"),
        request("GET /download"),
        request("GET /download?limit=5"),
        request("PUT /upload/b.txt", body=TEXT),
        request("DELETE /download/a.txt"),
        request("GET /healthz"),
        form_request(form(part("file", TEXT, "b.txt"))),
    ):
        answer = ask(server, asked)
        assert_problem(answer, 503, "storage-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert not server.store.exists()
    page = ask(server, form_request(form(part("file", TEXT, "b.txt")), BROWSER))
    assert_problem_page(page, 503, "storage-unavailable")
    shutil.move(away, server.store)
    assert_holds_only(server, ["a.txt"])
    assert ask(server, request("GET /download/a.txt")).body == TEXT
    assert ask(server, request("PUT /upload/b.txt", body=TEXT)).status == 201


@pytest.mark.usefixtures("over_a_directory")
def test_a_store_that_is_moved_away_during_an_upload_gets_nothing(
    start_server, tmp_path: Path
) -> None:
    server = start_server(WORKERS="1")
    away = tmp_path / "away"
    with Wire(server) as wire:
        wire.send(request("PUT /upload/a.txt", "Content-Length: 20", body=TEXT))
        eventually(server.staged)
        shutil.move(server.store, away)
        wire.send(TEXT)
        assert_problem(wire.answer(), 503, "storage-unavailable")
    shutil.move(away, server.store)
    assert server.published() == []


@pytest.mark.usefixtures("over_a_directory")
def test_an_upload_that_would_leave_too_little_free_space_is_refused(start_server) -> None:
    server = start_server(WORKERS="1", MIN_FREE_SPACE="900TiB")
    (server.store / "a.txt").write_bytes(TEXT)
    for asked in (
        request("PUT /upload/b.txt", body=TEXT),
        request("PUT /upload/b.txt", "Transfer-Encoding: chunked", body=chunked(TEXT)),
        form_request(form(part("file", TEXT, "b.txt"))),
    ):
        assert_problem(ask(server, asked), 507, "storage-full")
        assert_holds_only(server, ["a.txt"])
    page = ask(server, form_request(form(part("file", TEXT, "b.txt")), BROWSER))
    assert_problem_page(page, 507, "storage-full")
    assert ask(server, request("GET /download/a.txt")).body == TEXT
    assert ask(server, request("DELETE /download/a.txt")).status == 204


@pytest.fixture
def tiny_disk(root: None, tool: Tool, tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = [tool("mount"), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    subprocess.run(mounted, check=True, timeout=30)
    yield path
    subprocess.run([tool("umount"), "-l", str(path)], check=True, timeout=30)


def test_an_upload_that_fills_the_disk_is_refused_and_removed(
    tiny_disk: Path, start_server
) -> None:
    server = start_server(STORE_URL=str(tiny_disk / "store"), WORKERS="1", MIN_FREE_SPACE="0")
    big = b"0123456789abcde\n" * 65536 * 2
    for asked in (
        request("PUT /upload/b.txt", "Transfer-Encoding: chunked", body=chunked(big)),
        form_request(
            form(part("file", big, "b.txt")),
            "Transfer-Encoding: chunked",
        ),
    ):
        head, _, body = asked.partition(b"\r\n\r\n")
        if b"multipart" in head:
            body = chunked(body)
        assert_problem(ask(server, head + b"\r\n\r\n" + body), 507, "storage-full")
        assert_holds_only(server, [])
    assert_problem(
        ask(server, request("PUT /upload/b.txt", f"Content-Length: {len(big)}")),
        507,
        "storage-full",
    )
    assert ask(server, request("PUT /upload/a.txt", body=big[: 512 << 10])).status == 201
