"""Measure stores of many files: `python loadtest/many_files.py [DIRECTORY ...]`.

Two things are measured with one and with two workers, in each of the directories, which should be
on different file systems: how long a page of the list takes while files are uploaded and put into
the directory by another program, and how long the service takes from its start to its first
answers. Each acknowledged upload must be in a page that is requested later, of whichever worker.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
_NAME = "document-{:07}.pdf"
_TICKS = os.sysconf("SC_CLK_TCK")
_UPLOADERS = 8
_PUT_BY_OTHERS = 10
"""Files that another program puts into the directory, a second."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directories", nargs="*", default=["/dev/shm", tempfile.gettempdir()])
    parser.add_argument("--files", type=int, default=100_000, help="files that are listed")
    parser.add_argument("--start-files", type=int, default=200_000, help="files at the start")
    parser.add_argument("--rate", type=float, default=100.0, help="uploads a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each list")
    parser.add_argument("--starts", type=int, default=7, help="for each median of a start")
    arguments = parser.parse_args()
    print("| directory | workers | uploads/s | page: median | p99 | CPU of a page, idle | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for directory in arguments.directories:
        with store_of(Path(directory), arguments.files) as store:
            for workers in (1, 2):
                measure_list(store, workers, arguments.rate, arguments.seconds)
    print("\n| directory | files | workers | first file | first /healthz | CPU of the start |")
    print("| --- | --- | --- | --- | --- | --- |")
    for directory in arguments.directories:
        for files in (0, arguments.start_files):
            with store_of(Path(directory), files) as store:
                for workers in (1, 2):
                    measure_start(store, workers, files, arguments.starts)


@contextmanager
def store_of(base: Path, files: int) -> Iterator[Path]:
    """Make a directory with so many small files, which is removed afterwards."""
    store = Path(tempfile.mkdtemp(dir=base, prefix="fileservice-many-"))
    try:
        for number in range(files + 1):
            (store / _NAME.format(number)).write_bytes(b"%PDF-")
        yield store
    finally:
        shutil.rmtree(store)


class Server:
    """The service on a store; `port` is where it answers."""

    def __init__(self, store: Path, workers: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = os.environ | {
            "FILESERVICE_BIND": f"127.0.0.1:{self.port}",
            "FILESERVICE_STORE_URL": str(store),
            "FILESERVICE_WORKERS": str(workers),
        }
        command = [sys.executable, "-m", "gunicorn", "--log-level", "warning"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def connection(self) -> http.client.HTTPConnection:
        """Connect, as soon as the service listens."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            with suppress(ConnectionRefusedError):
                connection.connect()
                return connection
            time.sleep(0.002)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self) -> float:
        """Stop it at once; return the seconds of CPU that it has used."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGQUIT)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime


def asked(connection: http.client.HTTPConnection, path: str, body: bytes | None = None) -> bytes:
    """Return the body of the answer to a GET, or to a PUT of a body. Raise RuntimeError."""
    connection.request("GET" if body is None else "PUT", path, body)
    response = connection.getresponse()
    answer = response.read()
    if response.status not in (200, 201):
        raise RuntimeError(f"{path}: {response.status} {answer!r}")
    return answer


def measure_list(store: Path, workers: int, rate: float, seconds: float) -> None:
    """Print how long pages take while files come in, and verify that none is missing."""
    server = Server(store, workers)
    try:
        time.sleep(2.0)  # all workers accept connections
        load = Load(server, store, rate)
        # Several connections, so that each worker has some.
        readers = [server.connection() for _ in range(4 * workers)]
        for reader in readers:
            asked(reader, "/download?limit=1")
        idle = cpu_of_pages(server, readers)
        load.start()
        until, latencies = time.monotonic() + seconds, []
        turn = 0
        while time.monotonic() < until:
            reader = readers[turn % len(readers)]
            names, *_ = load.acknowledged[-1:] or [_NAME.format(turn)]
            # The page ends with the file that was acknowledged last, or begins with any other.
            after = names[:-5] if turn % 2 else _NAME.format(turn * 37 % 90_000)
            begun = time.monotonic()
            page = json.loads(asked(reader, f"/download?limit=100&after={after}"))
            latencies.append((time.monotonic() - begun) * 1000)
            if turn % 2 and not any(file["filename"] == names for file in page):
                raise RuntimeError(f"{names} is not in the list")
            turn += 1
            time.sleep(0.01)
        uploaded = load.stop() / seconds
        memory = " + ".join(f"{resident(pid) / 2**20:.0f}" for pid in server.workers())
    finally:
        server.stop()
        for path in store.glob("put-*"):
            path.unlink()
    median, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
    print(
        f"| {store.parent} | {workers} | {uploaded:.0f} | {median:.1f} ms | {p99:.1f} ms"
        f" | {idle * 1000:.1f} ms | {memory} MiB |",
        flush=True,
    )


class Load:
    """Uploads at a rate over several connections, and files of another program."""

    def __init__(self, server: Server, store: Path, rate: float) -> None:
        self.acknowledged: list[str] = []
        self._server, self._store, self._rate = server, store, rate
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._upload, args=(number,)) for number in range(_UPLOADERS)
        ]
        self._threads.append(threading.Thread(target=self._put))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> int:
        """End, and return how many files were uploaded."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return len([name for name in self.acknowledged if name.startswith("put-by-http")])

    def _upload(self, uploader: int) -> None:
        connection, number = self._server.connection(), 0
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += _UPLOADERS / self._rate
            number += 1
            name = f"put-by-http-{time.monotonic_ns()}-{uploader}.txt"
            asked(connection, f"/upload/{name}", b"x" * 1024)
            self.acknowledged.append(name)

    def _put(self) -> None:
        hidden = self._store / ".hidden"
        while not self._ended.wait(1 / _PUT_BY_OTHERS):
            name = f"put-by-rename-{time.monotonic_ns()}.txt"
            hidden.write_bytes(b"text")
            hidden.rename(self._store / name)
            self.acknowledged.append(name)


def cpu_of_pages(server: Server, readers: list[http.client.HTTPConnection]) -> float:
    """Return the seconds of CPU that a page costs the workers while nothing changes."""
    count = 400
    before = sum(map(cpu_seconds, server.workers()))
    for number in range(count):
        page = f"/download?limit=100&after={_NAME.format(number * 200)}"
        asked(readers[number % len(readers)], page)
    return (sum(map(cpu_seconds, server.workers())) - before) / count


def cpu_seconds(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def measure_start(store: Path, workers: int, files: int, starts: int) -> None:
    """Print the medians of the times from the start to the first answers."""
    paths = {"file": f"/download/{_NAME.format(files)}", "health": "/healthz"}
    times: dict[str, list[float]] = {name: [] for name in paths}
    cpu = []
    for turn in range(starts + 1):
        for name, path in paths.items():
            server = Server(store, workers)
            try:
                asked(server.connection(), path)
                seconds = time.monotonic() - server.started
            finally:
                used = server.stop()
            if turn:  # the first one warms the page cache
                times[name].append(seconds)
                cpu.append(used)
    first, healthy = (statistics.median(each) for each in times.values())
    print(
        f"| {store.parent} | {files:,} | {workers} | {first:.2f} s | {healthy:.2f} s"
        f" | {statistics.median(cpu):.2f} s |",
        flush=True,
    )


if __name__ == "__main__":
    main()
