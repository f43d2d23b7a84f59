"""What small requests cost the server: system calls, which do not depend on the machine."""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer
from tests.support.wire import Wire, request

REQUESTS = 100
MAX_CALLS = 12.0
"""For each GET of 1 KiB on a connection that stays open. 9 are needed: to receive the request, to
open, describe, read and close the file, to send the answer, and to wait for the next request."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ConfiguredServer]:
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store")})
    server.put("small.txt", b"x" * 1024)
    yield server
    server.stop()


def test_costs_of_a_small_download_in_system_calls(
    root: None, tool: Callable[[str], str], server: ConfiguredServer
) -> None:
    (pid,) = server.workers()
    get = request("GET /download/small.txt")
    with Wire(server) as wire:
        assert wire.ask(get).status == 200
        command = [tool("strace"), "-f", "-c", "-U", "calls,name", "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            assert "attached" in process.stderr.readline()
            for _ in range(REQUESTS):
                assert wire.ask(get).status == 200
            process.send_signal(signal.SIGINT)
            table = process.stderr.read()
    calls = {name: int(count) for count, name in re.findall(r"^\s*(\d+)\s+(\w+)$", table, re.M)}
    # What the worker does beside requests, such as to report to the master, takes as long as the
    # machine takes, so only the calls that requests make are counted.
    names = {"recvfrom", "openat", "newfstatat", "fstat", "flistxattr", "fgetxattr", "pread64"}
    made = sum(calls.get(name, 0) for name in names | {"sendto", "close", "epoll_ctl"})
    assert made / REQUESTS <= MAX_CALLS, calls
