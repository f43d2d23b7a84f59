"""What one replica carries, and what a second and a third add: `python loadtest/scaling.py`.

All of it runs on this machine, the load, nginx, the replicas and SeaweedFS; so the table says, too,
what each of them takes of the processors.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
  local path = string.format("/upload/%s-%d-%d.txt", os.getenv("RUN"), id, number)
  return wrk.format("PUT", path, nil, string.rep("x", 1024))
end
"""


def main() -> None:
    print("| replicas | work | rate | replicas' CPU | nginx' CPU | store's CPU | idle |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for replicas in (1, 2, 3):
        with (
            tempfile.TemporaryDirectory(dir="/dev/shm", prefix="fileservice-scaling-") as directory,
            running(Path(directory), replicas=replicas) as cluster,
        ):
            for work in (upload, download, put_small, get_small):
                row(replicas, work.__doc__ or "", *measured(cluster, directory, work))


def upload(cluster: Cluster, directory: str) -> str:
    """PUT of 64 MiB, four at once"""
    source = Path(directory, "source")
    source.write_bytes(b"text" * (_SIZE // 4))
    commands = [
        ["curl", "-sSf", "-T", str(source), f"{cluster.url}/upload/up-{n}.txt"]
        for n in range(3 * _AT_ONCE)
    ]
    return transferred(commands)


def download(cluster: Cluster, _directory: str) -> str:
    """GET of 64 MiB, four at once"""
    commands = [
        ["curl", "-sSf", "-o", "/dev/null", f"{cluster.url}/download/up-{n}.txt"]
        for n in range(3 * _AT_ONCE)
    ]
    return transferred(commands)


def put_small(cluster: Cluster, directory: str) -> str:
    """PUT of 1 KiB, 16 connections"""
    script = Path(directory, "put.lua")
    script.write_text(_PUT)
    return requested(["-s", str(script), cluster.url], {"RUN": "small"})


def get_small(cluster: Cluster, _directory: str) -> str:
    """GET of 1 KiB, 16 connections"""
    return requested([f"{cluster.url}/download/small-1-2.txt"], {})  # wrk makes a first, unsent


def transferred(commands: list[list[str]]) -> str:
    begun = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as together:
        for done in together.map(lambda c: subprocess.run(c, capture_output=True), commands):
            done.check_returncode()
    return f"{len(commands) * _SIZE / MIB / (time.monotonic() - begun):.0f} MiB/s"


def requested(arguments: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "16", "-d", f"{_SECONDS}s", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    (rate,) = [line.split()[1] for line in done.stdout.splitlines() if "Requests/sec" in line]
    return f"{float(rate):.0f}/s"


def measured(cluster: Cluster, directory: str, work) -> tuple[str, list[float], float]:
    groups = [
        [replica.pid for replica in cluster.replicas],
        [cluster.nginx],
        [cluster.seaweed.process.pid],
    ]
    before, idle, begun = used_by(groups), idle_seconds(), time.monotonic()
    rate = work(cluster, directory)
    seconds = time.monotonic() - begun
    used = [(now - b) / seconds for now, b in zip(used_by(groups), before, strict=True)]
    return rate, used, (idle_seconds() - idle) / seconds


def used_by(groups: list[list[int]]) -> list[float]:
    return [sum(map(cpu, group)) for group in groups]


def row(replicas: int, work: str, rate: str, used: list[float], idle: float) -> None:
    shares = " | ".join(f"{share:.2f}" for share in used)
    print(f"| {replicas} | {work} | {rate} | {shares} | {idle:.2f} |", flush=True)


def idle_seconds() -> float:
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(first[4]) / _TICKS


if __name__ == "__main__":
    main()
