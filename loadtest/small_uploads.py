"""The rows about uploads of small files, in memory and on a disk with its syncs."""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import contenders
import file_servers
import multiplex
import web_servers
from bench import Bench, Local, Measured, Sample
from contenders import Contender, Opener, directory

KIB = 1024
_CONNECTIONS = 16
_SIZES = (KIB, 100 * KIB)


def small_uploads(bench: Bench) -> None:
    """Upload small files to tmpfs, where nothing has to be waited for.

    uploadserver is not measured: it takes no more than five connections at a time.
    """
    base, workers = bench.base, bench.workers
    openers: dict[str, Opener] = {
        "ours": lambda: contenders.fileservice(base, workers=workers),
        "copyparty": lambda: file_servers.copyparty(base, workers=workers),
        "stock": lambda: contenders.fileservice(base, workers=workers, stock=True),
        "nginx": lambda: web_servers.nginx(base, workers=workers),
        "lighttpd": lambda: web_servers.lighttpd(base, workers=workers),
    }
    if workers == 1:
        openers |= {
            "apache": lambda: web_servers.apache(base),
            "rclone serve webdav": lambda: file_servers.rclone(base),
            "wsgidav on cheroot": lambda: file_servers.wsgidav(base),
            "SeaweedFS's filer": lambda: file_servers.seaweed_filer(base),
        }
    with bench.running(openers) as servers:
        for size in _SIZES:
            work = _work(size, "tmpfs")
            bench.compare(work, {name: (s, _load(bench, s, size)) for name, s in servers.items()})
            bench.judge(f"{work}: rate, against copyparty", (work, "ours", "rate"),
                        (work, "copyparty", "rate"), at_least=1.0, unit="/s")  # fmt: skip


def synced_uploads(bench: Bench) -> None:
    """Upload small files to ext4, whose syncs reach the disk, beside bare threads that do so."""
    threads = SyncingThreads(directory(bench.disk, "threads"))
    openers: dict[str, Opener] = {
        "ours": lambda: contenders.fileservice(bench.disk, workers=bench.workers),
        "copyparty, no syncs": lambda: file_servers.copyparty(bench.disk, workers=bench.workers),
    }
    with bench.running(openers) as servers:
        for size in _SIZES:
            work = _work(size, "ext4, synced")
            actions: dict[str, tuple[Measured, Callable[[], Sample]]] = {
                f"limit: {_CONNECTIONS} threads that write, sync and link": (
                    Local(threads.clear), partial(threads.run, size, bench.seconds)
                )
            }  # fmt: skip
            actions |= {name: (s, _load(bench, s, size)) for name, s in servers.items()}
            bench.compare(work, actions)
            (limit, *_) = actions
            bench.judge(f"{work}: rate, against bare threads", (work, "ours", "rate"),
                        (work, limit, "rate"), at_least=0.8, unit="/s")  # fmt: skip


def _work(size: int, where: str) -> str:
    return f"PUT {size // KIB} KiB, {_CONNECTIONS} connections, {where}"


def _load(bench: Bench, server: Contender, size: int) -> Callable[[], Sample]:
    numbers = itertools.count()

    def load() -> Sample:
        requests = multiplex.uploads(server.put, size, 1_000_000 * next(numbers))
        return multiplex.load(
            server.port, requests, connections=_CONNECTIONS, seconds=bench.seconds, status=2
        )

    return load


class SyncingThreads:
    """Threads of which each writes a file, syncs it, links it, and syncs the directory."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def run(self, size: int, seconds: float) -> Sample:
        """Let them work for some seconds; return how many files they have stored, and the rate."""
        latencies: list[float] = []
        folder, data = os.open(self._files, os.O_RDONLY), b"x" * size
        start = time.monotonic()

        def store(thread: int) -> None:
            for number in itertools.count():
                began = time.monotonic()
                if began > start + seconds:
                    return
                name = f"put-{thread}-{number}"
                file = os.open(
                    f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder
                )
                os.write(file, data)
                os.fsync(file)
                os.link(f".{name}", name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
                os.unlink(f".{name}", dir_fd=folder)
                os.close(file)
                latencies.append(time.monotonic() - began)

        threads = [threading.Thread(target=store, args=(n,)) for n in range(_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.monotonic() - start
        os.close(folder)
        quantiles = statistics.quantiles(latencies, n=100)
        rate = len(latencies) / wall
        return {
            "requests": len(latencies), "rate": rate, "p50": quantiles[49], "p99": quantiles[98]
        }  # fmt: skip

    def clear(self) -> None:
        """Remove what they have stored."""
        for entry in os.scandir(self._files):
            Path(entry.path).unlink()


ROWS = {"small_uploads": small_uploads, "synced_uploads": synced_uploads}
