"""The rows about small requests: downloads of 1 KiB, and answers of other kinds."""

import re
import statistics
import subprocess
import threading
from functools import partial

import contenders
import file_servers
import multiplex
import web_servers
import wire
from bench import Bench, Sample
from contenders import Contender, Missing, Opener, program

MIB = 1 << 20
_CONNECTIONS = 32
_LARGE = 4096 * MIB
_PYTHON_PEERS = ("copyparty", "stock", "wsgidav on cheroot", "uploadserver")


def small_downloads(bench: Bench) -> None:
    """GET 1 KiB over 32 persistent connections, alone and beside two large downloads."""
    try:
        program("wrk", "Debian's wrk")
    except Missing as missing:
        bench.missing.add(str(missing))
        return
    base, workers = bench.base, bench.workers
    openers: dict[str, Opener] = {
        "ours": lambda: contenders.fileservice(base, workers=workers),
        "stock": lambda: contenders.fileservice(base, workers=workers, stock=True),
        "copyparty": lambda: file_servers.copyparty(base, workers=workers),
        "nginx": lambda: web_servers.nginx(base, workers=workers),
        "lighttpd": lambda: web_servers.lighttpd(base, workers=workers),
    }
    if workers == 1:
        openers |= {
            "apache": lambda: web_servers.apache(base),
            "rclone serve webdav": lambda: file_servers.rclone(base),
            "rclone serve http": lambda: file_servers.rclone(base, "http"),
            "wsgidav on cheroot": lambda: file_servers.wsgidav(base),
            "uploadserver": lambda: file_servers.uploadserver(base),
            "SeaweedFS's filer": lambda: file_servers.seaweed_filer(base),
        }
    work = f"GET 1 KiB, {_CONNECTIONS} connections"
    small = base / "small"
    small.write_bytes(b"x" * 1024)
    with bench.running(openers) as servers:
        for server in servers.values():
            server.offer(small, "small.txt")
        bench.compare(
            work,
            {
                name: (server, partial(wrk, server, bench.seconds))
                for name, server in servers.items()
            },
        )
        _judge(bench, work)
        _beside_downloads(bench, work, servers["ours"])
    small.unlink()


def _judge(bench: Bench, work: str) -> None:
    peers = [name for name in _PYTHON_PEERS if name in bench.measured(work)]
    if bench.workers > 1:
        bench.judge(f"{work}: rate, against copyparty -j{bench.workers}", (work, "ours", "rate"),
                    (work, "copyparty", "rate"), at_least=1.0, unit="/s")  # fmt: skip
    elif peers:
        best = max(peers, key=lambda name: bench.median(work, name, "rate"))
        text = f"{work}: rate, against the best peer in Python ({best})"
        bench.judge(text, (work, "ours", "rate"), (work, best, "rate"), at_least=1.5, unit="/s")
    bench.judge(f"{work}: p99, against p50", (work, "ours", "p99"), (work, "ours", "p50"),
                at_most=2.0 if bench.workers == 1 else 4.0, unit="ms")  # fmt: skip


def wrk(server: Contender, seconds: float) -> Sample:
    """Let wrk send requests for the small file; return what `multiplex.load` does."""
    url = f"http://127.0.0.1:{server.port}{server.get}small.txt"
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{max(2, round(seconds))}s", "--latency", url]
    output = subprocess.run(["wrk", *options], check=True, capture_output=True, text=True).stdout
    answers = float(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    refused = float(other[1]) if other else 0.0
    if 2 * refused > answers:
        raise wire.Unexpected(output)
    return {
        "requests": answers - refused,
        "refused": refused,
        "rate": rate * (1 - refused / max(answers, 1)),
        "p50": _percentile(output, 50),
        "p99": _percentile(output, 99),
    }


def _percentile(output: str, percent: int) -> float:
    number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def _beside_downloads(bench: Bench, work: str, server: Contender) -> None:
    with (server.files / "large.bmp").open("wb") as file:
        file.truncate(_LARGE)
    downloading = True

    def download() -> None:
        while downloading:
            wire.get(server.port, f"{server.get}large.bmp", _LARGE)

    threads = [threading.Thread(target=download) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        p99 = statistics.median(wrk(server, bench.seconds)["p99"] for _ in range(bench.rounds))
    finally:
        downloading = False
        for thread in threads:
            thread.join()
    bench.judge_values(f"the same beside two downloads of {_LARGE // MIB} MiB: p99, against alone",
                       1000 * p99, 1000 * bench.median(work, "ours", "p99"),
                       at_most=5.0, unit="ms")  # fmt: skip


def kinds(bench: Bench) -> None:
    """Send requests of other kinds: HEAD, 304, 404, a range of 1 MiB, and a page of 100 files."""
    with contenders.fileservice(bench.base, workers=bench.workers) as server:
        for number in range(1000):
            (server.files / f"file-{number:04}.txt").write_bytes(b"x" * 1024)
        wire.sample_file(server.files / "medium.bmp", 4 * MIB)
        small = f"{server.get}file-0500.txt"
        etag = wire.etag(server.port, small)
        middle = f"Range: bytes={MIB}-{2 * MIB - 1}\r\n"
        requests = {
            "GET 1 KiB": (multiplex.repeated("GET", small), 200, True),
            "HEAD": (multiplex.repeated("HEAD", small), 200, False),
            "304": (multiplex.repeated("GET", small, f"If-None-Match: {etag}\r\n"), 304, False),
            "404": (multiplex.repeated("GET", f"{server.get}absent.txt"), 404, True),
            "range of 1 MiB": (
                multiplex.repeated("GET", f"{server.get}medium.bmp", middle), 206, True
            ),
            "page of 100 as JSON": (
                multiplex.repeated("GET", f"{server.get[:-1]}?limit=100"), 200, True
            ),
        }  # fmt: skip
        work = f"requests of other kinds, {_CONNECTIONS} connections"
        bench.compare(
            work,
            {
                name: (
                    server,
                    partial(
                        multiplex.load, server.port, request, connections=_CONNECTIONS,
                        seconds=bench.seconds, status=status, has_body=has_body,
                    ),
                )
                for name, (request, status, has_body) in requests.items()
            },
        )  # fmt: skip
    for name in list(requests)[1:]:
        bound = None if name.startswith("page") else 1.2
        text = f"{name}, {_CONNECTIONS} connections: time of each, against GET 1 KiB"
        ours, get = (work, name, "each"), (work, "GET 1 KiB", "each")
        bench.judge(text, ours, get, at_most=bound, unit="µs")


ROWS = {"small_downloads": small_downloads, "kinds": kinds}
