"""Show where the service spends its time: `python loadtest/hotspots.py` (needs perf, strace, root).

For each kind of request this prints, as Markdown, the shares of the CPU by shared object and the
most frequent system calls of one request (for a large file: of one MiB). perf slows the service a
little and strace much, so that neither shows how fast it is.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import contenders
import multiplex
import wire
from contenders import Contender

MIB = 1 << 20
_LARGE = 512 * MIB
_SHOWN = 8


@dataclass
class Work:
    """What is done, which returns how many requests or MiB that were."""

    name: str
    unit: str
    action: Callable[[Contender, Path, float], float]
    settings: dict[str, str]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each kind of request (4)")
    parser.add_argument("--only", choices=[work.name for work in WORK], nargs="*")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as folder:
        base = Path(folder)
        source = wire.sample_file(base / "source.bmp", 128 * MIB)
        for work in WORK:
            if arguments.only and work.name not in arguments.only:
                continue
            with contenders.fileservice(base, **work.settings) as server:
                (server.files / "small.txt").write_bytes(b"x" * 1024)
                act = partial(work.action, server, source, arguments.seconds)
                act()  # warms up
                print(f"**{work.name}**\n\n{_shares(server, act)}\n")
                print(f"System calls for each {work.unit}: {_calls(server, act)}.\n", flush=True)


def _put_large(server: Contender, source: Path, _seconds: float) -> float:
    wire.put(server.port, f"{server.put}put-1.bmp", source, _LARGE)
    server.clear()
    return _LARGE / MIB


def _small(method: str, size: int, server: Contender, _source: Path, seconds: float) -> float:
    path = f"{server.get}small.txt"
    requests: Iterator[bytes] = multiplex.repeated(method, path)
    if method == "PUT":
        requests = multiplex.uploads(server.put, size)
    answers = multiplex.load(server.port, requests, connections=16, seconds=seconds, status=2)
    server.clear()
    return answers["requests"]


_FAST = {"DIGEST": "none", "FSYNC": "false"}
WORK = [
    Work("PUT of a large file", "MiB", _put_large, {}),
    Work("PUT of a large file, no digest, no fsync", "MiB", _put_large, _FAST),
    Work("GET of 1 KiB", "request", partial(_small, "GET", 1024), {}),
    Work("PUT of 1 KiB", "request", partial(_small, "PUT", 1024), {}),
    Work("PUT of 100 KiB", "request", partial(_small, "PUT", 100 * 1024), {}),
]


def _shares(server: Contender, act: Callable[[], float]) -> str:
    """Return the shares of the CPU by shared object, which perf samples."""
    with tempfile.NamedTemporaryFile() as data:
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-o", data.name]
        with _watching([*command, "-p", _pids(server)]):
            act()
        report = ["perf", "report", "-q", "--stdio", "--sort", "dso", "-i", data.name]
        output = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    shares = re.findall(r"^\s*([\d.]+)%\s+(\S+)", output, re.MULTILINE)
    lines = ["| part | share |", "| --- | --- |"]
    lines += [f"| {name} | {float(share):.0f} % |" for share, name in shares[:_SHOWN]]
    return "\n".join(lines)


def _calls(server: Contender, act: Callable[[], float]) -> str:
    """Return the most frequent system calls of one request."""
    with tempfile.NamedTemporaryFile() as output:
        command = ["strace", "-f", "-c", "-U", "calls,name", "-o", output.name]
        command += [f"--attach={_pids(server)}"]
        with _watching(command):
            count = act()
        table = Path(output.name).read_text()
    calls = {name: int(n) for n, name in re.findall(r"^\s*(\d+)\s+(\w+)$", table, re.MULTILINE)}
    frequent = sorted(calls.items(), key=lambda item: -item[1])[: _SHOWN + 1]
    return ", ".join(f"{name} {number / count:.2f}" for name, number in frequent)


def _pids(server: Contender) -> str:
    return ",".join(str(pid) for pid in contenders.family(server.process.pid)[1:])


@contextlib.contextmanager
def _watching(command: list[str]) -> Iterator[None]:
    """Run a program for the length of a block that watches the server, and interrupt it then."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)  # perf does not say when it has begun
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


if __name__ == "__main__":
    if os.geteuid():
        raise SystemExit("only root may watch other processes")
    main()
