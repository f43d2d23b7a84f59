"""The rows about memory, many slow clients, and refusals."""

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import contenders
import wire
from bench import Bench
from contenders import Contender

MIB = 1 << 20
_SLOW_CLIENTS = 1000
_PROBE_SECONDS = 10


def memory(bench: Bench) -> None:
    """Measure how resident memory grows while a file of 4 times the size comes in and goes out."""
    with contenders.fileservice(bench.base, workers=bench.workers) as server:
        size = 4 * bench.size
        picture = wire.sample_file(bench.base / "picture.bmp", min(bench.size, 128 * MIB))
        warm = wire.sample_file(bench.base / "warm.bmp", 64 * MIB)
        for number in range(4):
            wire.put(server.port, f"{server.put}put-warm{number}.bmp", warm)
            wire.get(server.port, f"{server.get}put-warm{number}.bmp", 64 * MIB)
        up = _growth(
            server, lambda: wire.put(server.port, f"{server.put}put-big.bmp", picture, size)
        )
        down = _growth(server, lambda: wire.get(server.port, f"{server.get}put-big.bmp", size))
        bench.judge_limit(f"memory grown in a PUT of {size // MIB} MiB", up / MIB, 16, "MiB")
        bench.judge_limit(f"memory grown in a GET of {size // MIB} MiB", down / MIB, 16, "MiB")
        picture.unlink()
        warm.unlink()


def _growth(server: Contender, action: Callable[[], None]) -> int:
    before, maximum, done = server.memory(), 0, threading.Event()

    def watch() -> None:
        nonlocal maximum
        while not done.wait(0.05):
            maximum = max(maximum, server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    return max(maximum, server.memory()) - before


def slow_clients(bench: Bench) -> None:
    """Measure how fast a small file is served beside a thousand slow uploads.

    Each upload begins when the server has accepted the one before, and then sends ten bytes a
    second: the clients are many and slow, and the requests are not more than can be served.
    """
    settings = {"IDLE_TIMEOUT": "60s", "MAX_UPLOADS": str(_SLOW_CLIENTS)}
    with contenders.fileservice(bench.base, workers=bench.workers, **settings) as server:
        (server.files / "small.txt").write_bytes(b"x" * 1024)
        path = f"{server.get}small.txt"
        for _ in range(50):
            wire.get(server.port, path, 1024)
        before = server.memory()
        uploads = [
            wire.begin_put(server.port, f"{server.put}put-{number}.txt", MIB, b"some text\n")
            for number in range(_SLOW_CLIENTS)
        ]
        latencies, refused, turns = [], 0, 0
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < _PROBE_SECONDS:
            if turns <= 10 * elapsed:  # a tenth of the uploads sends every tenth of a second
                for upload in uploads[turns % 10 :: 10]:
                    upload.send(b"more text\n")
                turns += 1
            started = time.monotonic()
            try:
                wire.get(server.port, path, 1024)
            except wire.Refused:
                refused += 1
            latencies.append((time.monotonic() - started) * 1000)
        grown = server.memory() - before
        for upload in uploads:
            upload.close()
    p99 = statistics.quantiles(latencies, n=100)[98]
    bench.judge_limit(f"{_SLOW_CLIENTS} trickling uploads: p99 of a probe", p99, 100, "ms")
    bench.judge_limit("the same: probes refused with 503", refused, 0, f"of {len(latencies)}")
    bench.judge_limit("the same: memory for each", grown / _SLOW_CLIENTS / 1024, 128, "KiB")


def refusals(bench: Bench) -> None:
    """Refuse a body of 64 MiB from a client that sends all of it before it reads the answer."""
    times = 100
    body: Path = wire.sample_file(bench.base / "refused.bmp", 64 * MIB)
    with contenders.fileservice(bench.base, workers=bench.workers) as server:
        wire.put(server.port, f"{server.put}put-1.bmp", body)
        before = server.cpu()
        for _ in range(times):
            wire.refused_put(server.port, f"{server.put}put-1.bmp", body)
        spent = (server.cpu() - before) / times * 1000
    body.unlink()
    bench.judge_limit("64 MiB refused: CPU of each", spent, 20, "ms")
    bench.note("the same: clients that read the 409", f"{times} of {times}")


ROWS = {
    "memory": memory,
    "slow_clients": slow_clients,
    "refusals": refusals,
}
