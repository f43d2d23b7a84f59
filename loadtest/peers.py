"""Compare the service with other servers and with the limit of the machine, in turn, in one run.

    python loadtest/peers.py                all rows: 1 GiB, three rounds, with one and two workers
    python loadtest/peers.py --short        256 MiB, two rounds

This prints Markdown; `--json FILE` writes every single measurement to a file, of which
loadtest/report.py makes the tables and the picture of docs/performance.md. Wall time is measured by
the client, and server CPU is what the kernel accounts to the processes of the server. Figures are
medians over the rounds; in each round, all servers are measured in turn. The files are in memory
(`--dir`, by default /dev/shm), which is written once before; the rows about a disk use an ext4 of
their own.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from subprocess import check_output

import authorized
import bucket
import directories
import disk
import endurance
import small_downloads
import small_uploads
import transfers
import versions
from bench import Bench
from verdicts import table

MIB = 1 << 20
ROWS = (
    transfers.ROWS
    | small_downloads.ROWS
    | small_uploads.ROWS
    | directories.ROWS
    | bucket.ROWS
    | endurance.ROWS
    | authorized.ROWS
)
_WITH_MORE_WORKERS = ["uploads", "small_downloads", "kinds", "small_uploads", "synced_uploads"]
"""The rows that are measured again with more workers; the others are about one of them."""


def main() -> int:
    """Run the requested rows and print the table; return 1 if a bound is missed."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end the servers, unmount the disk
    size = arguments.size * MIB
    benches: list[Bench] = []
    began = time.monotonic()
    with _directory(arguments.dir) as base, disk.ext4(2 * size + 1024 * MIB) as other:
        result = {
            "machine": _machine(base, other),
            "method": _method(arguments),
            "peers": versions.peers(),
        }
        for workers in arguments.workers:
            bench = Bench(
                base, other, size, arguments.rounds, arguments.seconds, workers, arguments.before
            )
            benches.append(bench)
            for name in arguments.only or (ROWS if workers == 1 else _WITH_MORE_WORKERS):
                _run(name, bench)
                if arguments.json:  # a run that is interrupted has not measured in vain
                    result["runs"] = [bench.plain() for bench in benches]
                    arguments.json.write_text(json.dumps(result, indent=1))
            print(f"### {workers} worker(s)\n\n{table(bench.plain())}\n", flush=True)
    print(f"{result['machine']}; {(time.monotonic() - began) / 60:.1f} minutes")
    missed = any(verdict.holds is False for b in benches for verdict in b.verdicts)
    return int(missed or any(bench.failed for bench in benches))


def _run(name: str, bench: Bench) -> None:
    """Measure a row; an error ends this row only."""
    started = time.monotonic()
    try:
        ROWS[name](bench)
    except Exception:  # noqa: BLE001  # whatever it is, the other rows can be measured
        traceback.print_exc()
        bench.failed.append(name)
    seconds = time.monotonic() - started
    print(f"{name}, {bench.workers} worker(s): {seconds:.0f} s", file=sys.stderr, flush=True)


def _machine(base: Path, other: Path) -> str:
    system = f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    return f"{system}, files on {disk.file_system(base)} and on {disk.file_system(other)}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Peers that pip and npm install are looked for in the directory PEERS.",
    )
    parser.add_argument("--short", action="store_true", help="256 MiB, two rounds of one second")
    parser.add_argument("--size", type=int, help="the size of large files in MiB (1024)")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (3)")
    parser.add_argument("--seconds", type=float, help="how long requests are sent in a round (2)")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="in turn (1 2)")
    parser.add_argument("--dir", type=Path, help="the directory for the files")
    parser.add_argument(
        "--before", type=Path, help="a work tree of a version to compare the bucket rows with"
    )
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--only", choices=ROWS, nargs="*", help="run only these")
    arguments = parser.parse_args()
    size, rounds, seconds = (256, 2, 1.0) if arguments.short else (1024, 3, 2.0)
    arguments.size = arguments.size or size
    arguments.rounds = arguments.rounds or rounds
    arguments.seconds = arguments.seconds or seconds
    if arguments.before:
        arguments.before = arguments.before.resolve()
    return arguments


def _method(arguments: argparse.Namespace) -> str:
    rounds, seconds = arguments.rounds, arguments.seconds
    text = (
        f"large files of {arguments.size} MiB, {rounds} rounds after the one that does not count,"
        f" small requests for {seconds:g} s in each"
    )
    if arguments.before:
        command = ["git", "-C", str(arguments.before), "rev-parse", "--short", "HEAD"]
        commit = check_output(command, text=True).strip()
        text += f", compared with the commit {commit} over a bucket"
    return text


@contextlib.contextmanager
def _directory(chosen: Path | None) -> Iterator[Path]:
    memory = Path("/dev/shm")
    base = Path(
        tempfile.mkdtemp(dir=chosen or (memory if memory.exists() else None), prefix="peers-")
    )
    base.chmod(0o755)  # servers that change their user must reach their files
    try:
        yield base
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    sys.exit(main())
