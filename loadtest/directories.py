"""The rows about directories of many files: listing one during uploads, and starting with one."""

import itertools
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import contenders
import multiplex
import wire
from bench import Bench
from contenders import ROOT, Contender, directory, free_port

_LISTED = 100_000
_STARTED = 200_000
_UPLOADS_A_SECOND = 100
_UPLOADERS = 4
_PAGE = 100
_MIB = 1 << 20


def listing(bench: Bench) -> None:
    """List pages of 100 of 100,000 files while 100 files a second are uploaded, and without."""
    files = _files(bench, _LISTED)
    with contenders.fileservice(bench.base, workers=bench.workers) as server:
        _fill(server.files, files)
        _pages(server, files, bench.seconds)
        alone = _pages(server, files, bench.seconds)
        uploads = _Uploads(server)
        try:
            beside = _pages(server, files, max(3.0, bench.seconds * bench.rounds))
        finally:
            rate = uploads.stop()
        server.clear()
    work = f"page of {_PAGE} of {files} files"
    bench.samples[f"{work}, without and during uploads"] = {
        "without uploads": [{"wall": seconds} for seconds in alone],
        f"during {rate:.0f} uploads a second": [{"wall": seconds} for seconds in beside],
    }
    bench.note(f"{work}: median without uploads", f"{1000 * statistics.median(alone):.3g} ms")
    bench.judge_limit(f"{work}: median during {rate:.0f} uploads a second",
                      1000 * statistics.median(beside), 20, "ms")  # fmt: skip
    p99 = 1000 * statistics.quantiles(beside, n=100)[98]
    bench.note(f"{work}: p99 during {rate:.0f} uploads a second", f"{p99:.3g} ms")


def start(bench: Bench) -> None:
    """Start with 200,000 files, until the first answer."""
    count = _files(bench, _STARTED)
    files = directory(bench.base, "start")
    _fill(files, count)
    first, page = [], []
    for _ in range(bench.rounds + 1):
        seconds, seconds_of_page = _start(bench, files)
        first.append(seconds)
        page.append(seconds_of_page)
    work = f"start with {count} files"
    bench.samples[work] = {
        "first answer": [{"wall": seconds} for seconds in first[1:]],
        "first page after it": [{"wall": seconds} for seconds in page[1:]],
    }
    bench.judge_limit(f"{work}: until the first download",
                      statistics.median(first[1:]), 1.0, "s")  # fmt: skip
    bench.note(f"{work}: the first page of {_PAGE} after it",
               f"{1000 * statistics.median(page[1:]):.3g} ms")  # fmt: skip


def _files(bench: Bench, count: int) -> int:
    """Return fewer files for runs that only show whether everything works."""
    return count if bench.size >= 128 * _MIB else count // 100


def _fill(files: Path, count: int) -> None:
    for number in range(count):
        os.close(os.open(files / f"file-{number:06}.txt", os.O_WRONLY | os.O_CREAT, 0o644))


def _pages(server: Contender, files: int, seconds: float) -> list[float]:
    """Return the seconds that each of many pages took, at places chosen by chance."""
    times, end = [], time.monotonic() + seconds
    with wire.persistent(server.port) as connection:
        while time.monotonic() < end:
            after = f"file-{random.randrange(files - _PAGE):06}.txt"
            request = wire.head("GET", f"{server.get[:-1]}?limit={_PAGE}&after={after}", "")
            began = time.monotonic()
            wire.exchange(connection, request, None)
            times.append(time.monotonic() - began)
    return times


class _Uploads:
    """Uploads of 1 KiB in threads, evenly spread over the time."""

    def __init__(self, server: Contender) -> None:
        self._server = server
        self._stopped = threading.Event()
        self._done = [0] * _UPLOADERS
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._upload, args=(number,)) for number in range(_UPLOADERS)
        ]
        for thread in self._threads:
            thread.start()

    def _upload(self, thread: int) -> None:
        requests = multiplex.uploads(self._server.put, 1024, 1_000_000 * thread)
        with wire.persistent(self._server.port) as connection:
            for number in itertools.count():
                due = self._began + (number + thread / _UPLOADERS) * _UPLOADERS / _UPLOADS_A_SECOND
                if self._stopped.wait(max(0.0, due - time.monotonic())):
                    return
                wire.exchange(connection, next(requests), None, 201)
                self._done[thread] += 1

    def stop(self) -> float:
        """Stop them and return how many there were a second."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return sum(self._done) / (time.monotonic() - self._began)


def _start(bench: Bench, files: Path) -> tuple[float, float]:
    """Return the seconds until the first answer, and those of the first page after it."""
    port = free_port()
    variables = {
        "FILESERVICE_BIND": f"127.0.0.1:{port}",
        "FILESERVICE_STORE_URL": str(files),
        "FILESERVICE_WORKERS": str(bench.workers),
        "FILESERVICE_ANONYMOUS": "list,read",
    }
    command = [sys.executable, "-m", "gunicorn", "--log-level", "warning"]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | variables)
    try:
        while True:
            try:
                wire.get(port, "/download/file-000000.txt", 0)
                break
            except ConnectionRefusedError:
                if process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.005)
        answered = time.monotonic()
        wire.read(port, f"/download?limit={_PAGE}")
        return answered - began, time.monotonic() - answered
    finally:
        process.terminate()
        process.wait()


ROWS = {"listing": listing, "start": start}
