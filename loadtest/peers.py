"""Side by side with other servers, on the same files, in turn, in one run.

    python loadtest/peers.py                the full table: 1 GiB, five rounds, one and two workers
    python loadtest/peers.py --short        a quarter of the size, three rounds, one worker

Prints Markdown; `--json FILE` keeps every single measurement. Wall time is the client's; server
CPU is what the kernel accounts to the server's processes. Figures are medians over the rounds, in
which the contenders take turns. The directory (`--dir`) decides what is measured: in memory (the
default, where /dev/shm is) it is the servers, on a disk it is mostly the disk.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import bucket
import contenders
import small
import wire
from contenders import Contender, Missing

MIB = 1 << 20


@dataclass
class Sample:
    """One measurement: seconds by the client's clock, and of the processors, server and client."""

    wall: float
    cpu: float
    client: float


@dataclass
class Verdict:
    """One line of the table."""

    work: str
    ours: str
    other: str
    ratio: float | None
    bound: str
    holds: bool | None


@dataclass
class Bench:
    """What all rows work with, and what they found."""

    base: Path
    size: int
    rounds: int
    workers: int
    source: Path
    verdicts: list[Verdict] = field(default_factory=list)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def compare(
        self, work: str, actions: dict[str, tuple[Contender, Callable[[Contender], None]]]
    ) -> dict[str, Sample]:
        """The medians of each action, all taken in turn after a round that does not count."""
        found: dict[str, list[Sample]] = {name: [] for name in actions}
        for turn in range(self.rounds + 1):
            for name, (contender, action) in actions.items():
                before, mine, start = contender.cpu(), time.process_time(), time.monotonic()
                action(contender)
                sample = Sample(
                    time.monotonic() - start,
                    contender.cpu() - before,
                    time.process_time() - mine,
                )
                contender.clear()
                if turn:
                    found[name].append(sample)
        self.samples[f"{work} ({self.workers} workers)"] = found
        return {
            name: Sample(
                statistics.median(sample.wall for sample in samples),
                statistics.median(sample.cpu for sample in samples),
                statistics.median(sample.client for sample in samples),
            )
            for name, samples in found.items()
        }

    def judge(self, work: str, ours: float, other: float, factor: float, unit: str = "s") -> None:
        """`ours` must be at most `factor` times `other`."""
        ratio = ours / other if other else None
        self.verdicts.append(
            Verdict(
                work,
                f"{ours:.3g} {unit}",
                f"{other:.3g} {unit}",
                ratio,
                f"≤ {factor:g} ×",
                None if ratio is None else ratio <= factor,
            )
        )

    def judge_limit(self, work: str, ours: float, limit: float, unit: str) -> None:
        """`ours` must be at most `limit`."""
        self.verdicts.append(
            Verdict(work, f"{ours:.3g} {unit}", "", None, f"≤ {limit:g} {unit}", ours <= limit)
        )

    def note(self, work: str, ours: str, other: str = "") -> None:
        """A figure without a bound."""
        self.verdicts.append(Verdict(work, ours, other, None, "", None))

    @contextlib.contextmanager
    def running(self, **openers: Callable[[], contextlib.AbstractContextManager[Contender]]):
        """Those of the contenders that are installed; the others are named as missing."""
        with contextlib.ExitStack() as stack:
            found: dict[str, Contender] = {}
            for name, opener in openers.items():
                try:
                    found[name] = stack.enter_context(opener())
                except Missing as missing:
                    self.missing.add(str(missing))
            yield found


def downloads(bench: Bench) -> None:
    """GET whole, and by range from both ends."""
    size = bench.source.stat().st_size
    large = bench.base / "large.bmp"
    with large.open("wb") as file:
        file.truncate(4 * bench.size)
    with bench.running(
        ours=lambda: contenders.fileservice(bench.base, workers=bench.workers),
        nginx=lambda: contenders.nginx(bench.base, workers=bench.workers),
        stock=lambda: contenders.fileservice(bench.base, workers=bench.workers, stock=True),
        copyparty=lambda: contenders.copyparty(bench.base, workers=bench.workers),
        uploadserver=lambda: contenders.uploadserver(bench.base),
    ) as servers:
        for server in servers.values():
            os.link(bench.source, server.files / "get.bmp")
            os.link(large, server.files / "large.bmp")

        def whole(server: Contender) -> None:
            wire.get(server.port, f"{server.get}get.bmp", size)

        work = f"GET {bench.size // MIB} MiB"
        found = bench.compare(work, {name: (server, whole) for name, server in servers.items()})
        for name in servers:
            if name != "ours":
                _judge_both(bench, work, found, name, 1.0 if name == "nginx" else None)

        last = 4 * bench.size - MIB
        repeats = 400

        def section(first: int) -> Callable[[Contender], None]:
            def action(server: Contender) -> None:
                for _ in range(repeats):
                    wire.get(
                        server.port, f"{server.get}large.bmp", MIB, f"{first}-{first + MIB - 1}"
                    )

            return action

        ours = servers["ours"]
        found = bench.compare(
            "ranges", {"first": (ours, section(0)), "last": (ours, section(last))}
        )
        bench.judge(
            f"GET of the last 1 MiB of {4 * bench.size // MIB} MiB against the first,"
            f" CPU of {repeats}",
            found["last"].cpu,
            found["first"].cpu,
            1.2,
        )
    large.unlink()


def uploads(bench: Bench) -> None:
    """PUT, chunked PUT, and POST of a form."""
    fast = {"DIGEST": "none", "FSYNC": "false"}
    with bench.running(
        ours=lambda: contenders.fileservice(bench.base, workers=bench.workers),
        fast=lambda: contenders.fileservice(bench.base, workers=bench.workers, **fast),
        nginx=lambda: contenders.nginx(bench.base, workers=bench.workers),
        stock=lambda: contenders.fileservice(bench.base, workers=bench.workers, stock=True),
        copyparty=lambda: contenders.copyparty(bench.base, workers=bench.workers),
        uploadserver=lambda: contenders.uploadserver(bench.base),
    ) as servers:

        def put(server: Contender) -> None:
            wire.put(server.port, f"{server.put}put-1.bmp", bench.source)

        def put_chunked(server: Contender) -> None:
            wire.put_chunked(server.port, f"{server.put}put-1.bmp", bench.source)

        def post(server: Contender) -> None:
            wire.post_form(server.port, server.form, server.field, "put-1.bmp", bench.source)

        actions = {name: (server, put) for name, server in servers.items()}
        actions["chunked"] = (servers["ours"], put_chunked)
        actions["form"] = (servers["ours"], post)
        if "uploadserver" in servers:
            actions["uploadserver"] = (servers["uploadserver"], post)
        work = f"PUT {bench.size // MIB} MiB"
        found = bench.compare(work, actions)
        if "nginx" in found:
            bench.judge(f"{work}, no digest, no fsync: wall, against nginx",
                        found["fast"].wall, found["nginx"].wall, 1.0)  # fmt: skip
            bench.judge(f"{work}, no digest, no fsync: CPU, against nginx",
                        found["fast"].cpu, found["nginx"].cpu, 1.0)  # fmt: skip
            alone = _hashing_alone(bench.size)
            bench.judge(f"{work}: CPU, against SHA-256 alone + 0.6 × nginx",
                        found["ours"].cpu, alone + 0.6 * found["nginx"].cpu, 1.0)  # fmt: skip
            bench.note("SHA-256 of as much, in process", f"{alone:.3g} s")
            bench.note(f"{work}: CPU of the client", f"{found['ours'].client:.3g} s")
        if "copyparty" in found:
            bench.judge(f"{work}: wall, against copyparty",
                        found["ours"].wall, found["copyparty"].wall, 0.35)  # fmt: skip
        for name in ("stock", "uploadserver"):
            if name in found:
                _judge_both(bench, work, found, name, None)
        bench.judge("the same as a form: wall, against our PUT",
                    found["form"].wall, found["ours"].wall, 1.15)  # fmt: skip
        bench.judge("the same in chunks: wall, against our PUT",
                    found["chunked"].wall, found["ours"].wall, 1.3)  # fmt: skip


def resumable(bench: Bench) -> None:
    """Uploads by tus, in one request and in many."""
    size = bench.source.stat().st_size
    with bench.running(
        ours=lambda: contenders.fileservice(bench.base, workers=bench.workers),
        tus_server=lambda: contenders.tus_server(bench.base),
    ) as servers:
        for step, work in (
            (size, f"tus: one PATCH of {size // MIB} MiB"),
            (16 * MIB, f"tus: {size // (16 * MIB)} PATCHes of 16 MiB"),
        ):

            def upload(server: Contender, step: int = step) -> None:
                path = wire.tus_create(server.port, server.tus, "put-1.bmp", size)
                wire.tus_patch(server.port, path, bench.source, step)

            found = bench.compare(
                work, {name: (server, upload) for name, server in servers.items()}
            )
            if "tus_server" in found:
                bench.judge(f"{work}: wall, against @tus/server",
                            found["ours"].wall, found["tus_server"].wall, 0.35)  # fmt: skip
            else:
                bench.note(work, f"{found['ours'].wall:.3g} s")


def _judge_both(
    bench: Bench, work: str, found: dict[str, Sample], name: str, factor: float | None
) -> None:
    ours, other = found["ours"], found[name]
    for what, mine, theirs in (("wall", ours.wall, other.wall), ("CPU", ours.cpu, other.cpu)):
        title = f"{work}: {what}, against {name}"
        if factor:
            bench.judge(title, mine, theirs, factor)
        else:
            ratio = mine / theirs if theirs else None
            bench.verdicts.append(
                Verdict(title, f"{mine:.3g} s", f"{theirs:.3g} s", ratio, "", None)
            )


def _hashing_alone(size: int) -> float:
    block = bytearray(os.urandom(MIB))
    found = []
    for _ in range(3):
        start = time.process_time()
        digest = hashlib.sha256()
        for _ in range(size // MIB):
            digest.update(block)
        found.append(time.process_time() - start)
    return statistics.median(found)


def table(bench: Bench) -> str:
    """All verdicts, as Markdown."""
    lines = [
        f"### {bench.workers} worker{'s' if bench.workers > 1 else ''}",
        "",
        "| work | ours | other | ratio | must be | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for verdict in bench.verdicts:
        ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        mark = {True: "holds", False: "**missed**", None: ""}[verdict.holds]
        lines.append(
            f"| {verdict.work} | {verdict.ours} | {verdict.other} | {ratio}"
            f" | {verdict.bound} | {mark} |"
        )
    if bench.missing:
        lines += ["", f"Missing here: {', '.join(sorted(bench.missing))}."]
    return "\n".join(lines)


ROWS = {
    "downloads": downloads,
    "uploads": uploads,
    "resumable": resumable,
    **small.ROWS,
    **bucket.ROWS,
}


def main() -> int:
    """Run the rows asked for, print the table; 1 if a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="smaller, and fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the files lie")
    parser.add_argument("--json", type=Path, help="a file for all measurements")
    parser.add_argument("--only", choices=ROWS, nargs="*", default=list(ROWS))
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
            print(table(bench), end="\n\n")
        where = _file_system(base)
    print(
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {where}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps([_plain(bench) for bench in benches], indent=1))
    return int(any(verdict.holds is False for b in benches for verdict in b.verdicts))


def _plain(bench: Bench) -> dict[str, object]:
    plain = asdict(bench)
    del plain["base"], plain["source"]
    plain["missing"] = sorted(bench.missing)
    return plain


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
