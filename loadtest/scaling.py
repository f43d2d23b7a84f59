"""Measure what one, two and three replicas can carry: `python loadtest/scaling.py`.

The load, nginx, the replicas and SeaweedFS all run on this machine, so the table also says how much
CPU each of them uses.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from contenders import cpu  # noqa: E402  # see below

from cluster.run import Cluster, running  # noqa: E402  # needs ROOT in sys.path

MIB = 1024 * 1024
_SIZE = 64 * MIB
_CONNECTIONS = 4
_SECONDS = 10
_TICKS = os.sysconf("SC_CLK_TCK")
_PUT = """
local number, thread = 0, 0
function setup(t) thread = thread + 1; t:set("id", thread) end
function request()
  number = number + 1
  local path = string.format("/upload/small-%d-%d.txt", id, number)
  return wrk.format("PUT", path, nil, string.rep("x", 1024))
end
"""


def main() -> None:
    """Print the table."""
    print("| replicas | work | rate | replicas' CPU | nginx' CPU | store's CPU | idle |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    memory = Path("/dev/shm")
    base = memory if memory.exists() else None
    for replicas in (1, 2, 3):
        with (
            tempfile.TemporaryDirectory(dir=base, prefix="fileservice-scaling-") as directory,
            running(Path(directory), replicas=replicas) as cluster,
        ):
            for work, action in WORK.items():
                row(replicas, work, *measured(cluster, Path(directory), action))


def upload(cluster: Cluster, directory: Path) -> str:
    """Return the rate of uploads of 64 MiB."""
    source = directory / "source"
    source.write_bytes(b"text" * (_SIZE // 4))
    return transferred(["-T", str(source)], f"{cluster.url}/upload/")


def download(cluster: Cluster, _directory: Path) -> str:
    """Return the rate of downloads of the files that `upload` stored."""
    return transferred(["-o", "/dev/null"], f"{cluster.url}/download/")


def put_small(cluster: Cluster, directory: Path) -> str:
    """Return the rate of uploads of 1 KiB."""
    script = directory / "put.lua"
    script.write_text(_PUT)
    return requested(["-s", str(script), cluster.url])


def get_small(cluster: Cluster, _directory: Path) -> str:
    """Return the rate of downloads of one file of 1 KiB."""
    httpx.put(f"{cluster.url}/upload/small.txt", content=b"x" * 1024).raise_for_status()
    return requested([f"{cluster.url}/download/small.txt"])


WORK: dict[str, Callable[[Cluster, Path], str]] = {
    "PUT of 64 MiB, four at once": upload,
    "GET of 64 MiB, four at once": download,
    "PUT of 1 KiB, 16 connections": put_small,
    "GET of 1 KiB, 16 connections": get_small,
}


def transferred(options: list[str], under: str) -> str:
    """Return the rate that curl reaches with three files for each connection."""
    commands = [
        ["curl", "-sSf", *options, f"{under}large-{number}.txt"]
        for number in range(3 * _CONNECTIONS)
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for completed in pool.map(lambda c: subprocess.run(c, capture_output=True), commands):
            completed.check_returncode()
    return f"{len(commands) * _SIZE / MIB / (time.monotonic() - started):.0f} MiB/s"


def requested(arguments: list[str]) -> str:
    """Return the rate that wrk reaches; raise RuntimeError if an answer is not a success."""
    completed = subprocess.run(
        ["wrk", "-t", "1", "-c", "16", "-d", f"{_SECONDS}s", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in completed.stdout:
        raise RuntimeError(completed.stdout)
    (rate,) = [line.split()[1] for line in completed.stdout.splitlines() if "Requests/sec" in line]
    return f"{float(rate):.0f}/s"


def measured(
    cluster: Cluster, directory: Path, action: Callable[[Cluster, Path], str]
) -> tuple[str, list[float], float]:
    """Return the rate of an action, the cores that each group of servers used, and idle cores."""
    groups = [
        [replica.pid for replica in cluster.replicas],
        [cluster.nginx],
        [cluster.seaweed.process.pid],
    ]
    before, idle, started = used_by(groups), idle_seconds(), time.monotonic()
    rate = action(cluster, directory)
    seconds = time.monotonic() - started
    used = [(now - b) / seconds for now, b in zip(used_by(groups), before, strict=True)]
    return rate, used, (idle_seconds() - idle) / seconds


def used_by(groups: list[list[int]]) -> list[float]:
    """Return the seconds of CPU that each group has used."""
    return [sum(map(cpu, group)) for group in groups]


def row(replicas: int, work: str, rate: str, used: list[float], idle: float) -> None:
    """Print one row."""
    shares = " | ".join(f"{share:.2f}" for share in used)
    print(f"| {replicas} | {work} | {rate} | {shares} | {idle:.2f} |", flush=True)


def idle_seconds() -> float:
    """Return the seconds for which the cores were idle, summed over all of them."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(first[4]) / _TICKS


if __name__ == "__main__":
    main()
