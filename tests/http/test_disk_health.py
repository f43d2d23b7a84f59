"""/healthz on disks that are dead, hang, are full or slow."""

import contextlib
import itertools
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.http.store_requests import FULL, GET, HEALTH, TEXT, UNAVAILABLE, is_healthy, problem
from tests.support.disk import Disk
from tests.support.servers import LiveServer
from tests.support.system_calls import traced
from tests.support.wire import Wire, ask, eventually, request

pytestmark = pytest.mark.usefixtures("over_a_directory")


def test_a_dead_disk_is_unhealthy(disk: Disk, start_on: Callable[..., LiveServer]) -> None:
    server = start_on(disk.path / "store")
    assert is_healthy(server)
    disk.cut_power()
    eventually(lambda: not is_healthy(server))
    assert problem(server, HEALTH) == UNAVAILABLE


def test_a_disk_that_hangs_is_unhealthy_while_files_are_still_served(
    disk: Disk, start_on: Callable[..., LiveServer], tool: Callable[[str], str]
) -> None:
    server = start_on(disk.path)
    assert ask(server, request("PUT /upload/a.txt", body=TEXT)).status == 201
    fsfreeze = tool("fsfreeze")
    subprocess.run([fsfreeze, "-f", str(disk.path)], check=True)
    try:
        eventually(lambda: not is_healthy(server))
        begin = time.monotonic()
        for _ in range(20):
            assert problem(server, HEALTH) == UNAVAILABLE
        assert time.monotonic() - begin < 30  # only the first one waits, for three seconds
        assert ask(server, GET).body == TEXT
    finally:
        subprocess.run([fsfreeze, "-u", str(disk.path)], check=True)
    eventually(lambda: is_healthy(server))


def test_less_free_space_than_the_minimum_is_unhealthy(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="1", MIN_FREE_SPACE="900TiB")
    assert problem(server, HEALTH) == FULL


def test_health_checks_do_not_wait_for_uploads_whose_fsync_is_slow(
    root: None, tool: Callable[[str], str], start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = start_server(WORKERS="1")
    (pid,) = server.workers()
    log = tmp_path / "calls"
    slow = ["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=60000000"]
    with (
        traced(tool("strace"), pid, log, *slow, end=signal.SIGKILL),
        contextlib.ExitStack() as uploads,
    ):
        try:
            numbers = itertools.count()

            def all_threads_wait() -> bool:
                # Uploads that arrive together wait in one thread, and others are refused then.
                upload = uploads.enter_context(Wire(server))
                upload.send(request(f"PUT /upload/{next(numbers)}.txt", body=TEXT))
                is_refusing = "requests are refused" in server.log()
                return is_refusing or log.read_text().count("fsync(") >= 10

            eventually(all_threads_wait)
            assert is_healthy(server)
            assert server.published() == []  # not one of them has ended meanwhile
        finally:
            server.kill()


def test_health_checks_share_one_probe_of_the_disk_a_second(
    root: None, tool: Callable[[str], str], start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = start_server(WORKERS="1")
    (pid,) = server.workers()
    log = tmp_path / "calls"
    with traced(tool("strace"), pid, log, "-e", "trace=openat"):
        begin = time.monotonic()

        def looks() -> int:
            return log.read_text().count(str(server.store / ".fileservice/staging"))

        def ask_on(_: int) -> int:
            asked = 0
            while (
                asked < 10
                or time.monotonic() < begin + 2.5
                or (looks() < 2 and time.monotonic() < begin + 60)  # all may have waited so long
            ):
                assert is_healthy(server)
                asked += 1
                time.sleep(0.05)  # strace makes each request costly
            return asked

        with ThreadPoolExecutor(8) as threads:
            asked = sum(threads.map(ask_on, range(8)))
        seconds = time.monotonic() - begin
    assert 2 <= looks() <= seconds + 1 < asked
