"""kill -9 during uploads by real tus clients: no acknowledged byte is lost."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.checks import assert_kept, assert_survives, assert_whole
from tests.clients.clients import PERSISTENT, Client
from tests.clients.conftest import first_client
from tests.clients.fault_proxy import FaultProxy, Link, random_plan
from tests.support.servers import LiveServer
from tests.support.wire import eventually
from tests.support.workers import worker_with

MIB = 1024 * 1024


def assert_swept(server: LiveServer) -> None:
    """Whatever the killed were about to write is gone once the server has started again."""
    server.stop()
    server.start()
    eventually(lambda: not server.staged())


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1])
def test_an_upload_survives_kill_9_of_its_workers(
    start_server: Callable[..., LiveServer],
    client: Client,
    make_text: Callable[..., Path],
    seed: int,
) -> None:
    server = start_server(WORKERS="3")
    killed: list[int] = []

    def kill_worker(link: Link) -> None:
        worker = None

        def is_known() -> bool:
            nonlocal worker
            worker = worker_with(server, link.port)
            return worker is not None

        eventually(is_known)
        assert worker
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: worker not in server.workers())
        killed.append(worker)
        link.reset()

    size = 10 * MIB
    file = make_text(size, seed)
    options = ("--chunk-size", str(2 * MIB)) if seed % 2 else ()
    plan = random_plan(seed, size, kill_worker, times=4)
    assert_survives(client, server, plan, file, *options)
    assert len(set(killed)) == 4
    assert_swept(server)


@pytest.mark.thorough
@first_client
def test_an_upload_survives_kill_9_of_the_server(
    start_server: Callable[..., LiveServer],
    client: Client,
    make_text: Callable[..., Path],
) -> None:
    server = start_server(WORKERS="3")
    starts: list[Future[None]] = []

    def kill_server(link: Link) -> None:
        for start in starts:
            start.result()  # which would fail if the server were killed before it has started
        server.kill()
        starts.append(starter.submit(server.start))
        link.reset()

    size = 10 * MIB
    file = make_text(size)
    with (
        ThreadPoolExecutor(1) as starter,
        FaultProxy(server.port, random_plan(10, size, kill_server, times=2)) as proxy,
    ):
        outcome = client.upload(proxy.url, file, "a.txt", *PERSISTENT)
        for start in starts:
            start.result()
        assert outcome.done, (outcome, str(proxy.traffic))
        assert_kept(proxy)
    assert len(starts) == 2
    assert_whole(server, "a.txt", file)
    assert_swept(server)
