"""Compare the service with other servers, on the same files, in turn, in one run.

    python loadtest/peers.py                all rows: 1 GiB, five rounds, with one and two workers
    python loadtest/peers.py --short        a quarter of the size, three rounds, with one worker

This prints Markdown; `--json FILE` writes every single measurement to a file. Wall time is measured
by the client, and server CPU is what the kernel accounts to the processes of the server. Figures
are medians over the rounds; in each round, all servers are measured in turn. The directory
(`--dir`) decides what is compared: in memory (the default if there is a /dev/shm), the servers; on
a disk, mostly the disk.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import authorized
import bucket
import small
import transfers
import wire
from bench import Bench

MIB = 1 << 20
ROWS = transfers.ROWS | small.ROWS | authorized.ROWS | bucket.ROWS


def main() -> int:
    """Run the requested rows and print the table; return 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="use a smaller size and fewer rounds")
    parser.add_argument("--dir", type=Path, help="the directory for the files")
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument(
        "--only", choices=ROWS, nargs="*", default=list(ROWS), help="run only these"
    )
    arguments = parser.parse_args()
    size, rounds = (256 * MIB, 3) if arguments.short else (1024 * MIB, 5)
    benches = []
    with _directory(arguments.dir) as base:
        source = wire.sample_file(base / "source.bmp", size)
        for workers in (1,) if arguments.short else (1, 2):
            bench = Bench(base, size, rounds, workers, source)
            benches.append(bench)
            for name in arguments.only:
                ROWS[name](bench)
                print(f"{name} done, {workers} worker(s)", file=sys.stderr)
            print(bench.table(), end="\n\n")
        where = _file_system(base)
    print(
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {where}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps([bench.plain() for bench in benches], indent=1))
    return int(any(verdict.holds is False for b in benches for verdict in b.verdicts))


@contextlib.contextmanager
def _directory(chosen: Path | None) -> Iterator[Path]:
    memory = Path("/dev/shm")
    base = Path(
        tempfile.mkdtemp(dir=chosen or (memory if memory.exists() else None), prefix="peers-")
    )
    try:
        yield base
    finally:
        shutil.rmtree(base)


def _file_system(path: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    point, kind = max(
        (mount for mount in mounts if path.is_relative_to(mount[0])), key=lambda m: len(m[0])
    )
    return f"{kind} at {point}"


if __name__ == "__main__":
    sys.exit(main())
