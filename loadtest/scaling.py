"""What one replica carries, and what a second and a third add: `python loadtest/scaling.py`.

All of it runs on this machine, the load, nginx, the replicas and SeaweedFS; so the table says, too,
what each of them takes of the processors.
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

from contenders import cpu  # noqa: E402  # as for the next

from cluster.run import Cluster, running  # noqa: E402  # it lies beside

MIB = 1024 * 1024
_SIZE = 64 * MIB
_AT_ONCE = 4
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
    """The rate of uploads of 64 MiB."""
    source = directory / "source"
    source.write_bytes(b"text" * (_SIZE // 4))
    return transferred(["-T", str(source)], f"{cluster.url}/upload/")


def download(cluster: Cluster, _directory: Path) -> str:
    """The rate of downloads of what `upload` stored."""
    return transferred(["-o", "/dev/null"], f"{cluster.url}/download/")


def put_small(cluster: Cluster, directory: Path) -> str:
    """The rate of uploads of 1 KiB."""
    script = directory / "put.lua"
    script.write_text(_PUT)
    return requested(["-s", str(script), cluster.url])


def get_small(cluster: Cluster, _directory: Path) -> str:
    """The rate of downloads of one file of 1 KiB."""
    httpx.put(f"{cluster.url}/upload/asked-for.txt", content=b"x" * 1024).raise_for_status()
    return requested([f"{cluster.url}/download/asked-for.txt"])


WORK: dict[str, Callable[[Cluster, Path], str]] = {
    "PUT of 64 MiB, four at once": upload,
    "GET of 64 MiB, four at once": download,
    "PUT of 1 KiB, 16 connections": put_small,
    "GET of 1 KiB, 16 connections": get_small,
}


def transferred(options: list[str], under: str) -> str:
    """What curl reaches with three files for each connection."""
    commands = [
        ["curl", "-sSf", *options, f"{under}large-{number}.txt"] for number in range(3 * _AT_ONCE)
    ]
    begun = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as together:
        for done in together.map(lambda c: subprocess.run(c, capture_output=True), commands):
            done.check_returncode()
    return f"{len(commands) * _SIZE / MIB / (time.monotonic() - begun):.0f} MiB/s"


def requested(arguments: list[str]) -> str:
    """What wrk reaches. RuntimeError if an answer is not a success."""
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "16", "-d", f"{_SECONDS}s", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    (rate,) = [line.split()[1] for line in done.stdout.splitlines() if "Requests/sec" in line]
    return f"{float(rate):.0f}/s"


def measured(
    cluster: Cluster, directory: Path, action: Callable[[Cluster, Path], str]
) -> tuple[str, list[float], float]:
    """The rate, the processors that each group of servers took meanwhile, and those left idle."""
    groups = [
        [replica.pid for replica in cluster.replicas],
        [cluster.nginx],
        [cluster.seaweed.process.pid],
    ]
    before, idle, begun = used_by(groups), idle_seconds(), time.monotonic()
    rate = action(cluster, directory)
    seconds = time.monotonic() - begun
    used = [(now - b) / seconds for now, b in zip(used_by(groups), before, strict=True)]
    return rate, used, (idle_seconds() - idle) / seconds


def used_by(groups: list[list[int]]) -> list[float]:
    """Seconds of processor time that each group has used."""
    return [sum(map(cpu, group)) for group in groups]


def row(replicas: int, work: str, rate: str, used: list[float], idle: float) -> None:
    """Print one line."""
    shares = " | ".join(f"{share:.2f}" for share in used)
    print(f"| {replicas} | {work} | {rate} | {shares} | {idle:.2f} |", flush=True)


def idle_seconds() -> float:
    """Seconds for which processors had nothing to do, all of them together."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(first[4]) / _TICKS


if __name__ == "__main__":
    main()
