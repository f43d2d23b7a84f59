"""kill -9 leaves each file whole or absent, and a server that stops finishes its uploads."""

import os
import signal
from collections.abc import Callable

import pytest

from tests.faults.uploads import DATA, UPLOADS, SmallUploads, some_is_staged
from tests.support.processes import open_files
from tests.support.servers import LiveServer
from tests.support.wire import Wire, ask, assert_holds_only, eventually, request

pytestmark = pytest.mark.usefixtures("over_a_directory")


def holder_of_upload(server: LiveServer, wire: Wire, name: str) -> int:
    """Upload all but the last byte; the worker that has it."""
    before = set(server.staged())
    wire.send(request(f"PUT /upload/{name}", body=DATA)[:-1])
    eventually(lambda: set(server.staged()) - before)
    (path,) = set(server.staged()) - before
    eventually(lambda: path.stat().st_size > 0)
    (worker,) = (pid for pid in server.workers() if str(path) in open_files(pid))
    return worker


@pytest.mark.parametrize("upload", UPLOADS)
def test_kill_9_during_an_upload_leaves_a_staged_file_that_the_next_start_sweeps(
    start_server: Callable[..., LiveServer], upload: bytes
) -> None:
    server = start_server(WORKERS="2")
    assert ask(server, request("PUT /upload/old.txt", body=DATA)).status == 201
    with Wire(server) as wire:
        wire.send(upload[:-200])
        eventually(lambda: some_is_staged(server))
        server.kill()
        assert server.published() == ["old.txt"]
        assert wire.ended()
    assert len(server.staged()) == 1
    server.start()
    assert not server.staged()
    assert server.published() == ["old.txt"]
    assert ask(server, request("GET /download/old.txt")).body == DATA
    assert ask(server, request("GET /download/a.txt")).status == 404
    assert ask(server, upload).status == 201


def test_kill_9_among_small_uploads_leaves_each_one_whole_or_absent(
    start_server: Callable[..., LiveServer],
) -> None:
    """They are received, published and synced together, in one thread."""
    server = start_server(WORKERS="1")
    with SmallUploads(server) as uploads:
        uploads.wait_for(100)
        server.kill()
    published = server.published()
    assert uploads.acknowledged <= set(published)
    for name in published:
        assert (server.store / name).read_text() == name
    assert len(published) - len(uploads.acknowledged) <= 16, "at most one for each client"
    server.start()
    eventually(lambda: not server.staged())
    assert set(published) == set(server.published())
    assert ask(server, request("PUT /upload/next.txt", body=b"next")).status == 201


def test_kill_9_of_one_worker_during_an_upload_leaves_the_other_serving(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="2")
    assert ask(server, request("PUT /upload/old.txt", body=DATA)).status == 201
    with Wire(server) as cut, Wire(server) as steady:
        victim = holder_of_upload(server, cut, "a.txt")
        while True:
            bystander = holder_of_upload(server, steady, "b.txt")
            if bystander != victim:
                break
            steady.close()
            eventually(lambda: len(server.staged()) == 1)
            steady.__init__(server)  # type: ignore[misc]
        os.kill(victim, signal.SIGKILL)
        assert cut.ended()
        steady.send(DATA[-1:])
        assert steady.answer().status == 201
    eventually(lambda: len(server.workers()) == 2 and victim not in server.workers())
    assert_holds_only(server, ["b.txt", "old.txt"])
    assert (server.store / "b.txt").read_bytes() == DATA


def test_the_sweep_at_the_start_keeps_uploads_of_other_servers(
    start_server: Callable[..., LiveServer],
) -> None:
    first = start_server(WORKERS="1")
    with Wire(first) as wire:
        holder_of_upload(first, wire, "a.txt")
        second = start_server(WORKERS="1")
        assert len(second.staged()) == 1
        wire.send(DATA[-1:])
        assert wire.answer().status == 201
    assert ask(second, request("GET /download/a.txt")).body == DATA


def test_a_stopping_server_finishes_an_upload(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(WORKERS="1")
    with Wire(server) as wire:
        holder_of_upload(server, wire, "a.txt")
        server.process.terminate()
        eventually(lambda: "term" in server.log())
        wire.send(DATA[-1:])
        assert wire.answer().status == 201
    assert server.process.wait(30) == 0
    assert (server.store / "a.txt").read_bytes() == DATA
