"""The rows about one large file: downloads, uploads, and uploads by tus."""

import hashlib
import os
import statistics
import time
from collections.abc import Callable

import contenders
import wire
from bench import Bench, Sample
from contenders import Contender

MIB = 1 << 20


def downloads(bench: Bench) -> None:
    """GET the whole file, and ranges at its beginning and its end."""
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

        def get_file(server: Contender) -> None:
            wire.get(server.port, f"{server.get}get.bmp", size)

        work = f"GET {bench.size // MIB} MiB"
        medians = bench.compare(
            work, {name: (server, get_file) for name, server in servers.items()}
        )
        for name in servers:
            if name != "ours":
                _judge_both(bench, work, medians, name, 1.0 if name == "nginx" else None)

        last = 4 * bench.size - MIB
        repeats = 400

        def get_range(first: int) -> Callable[[Contender], None]:
            def action(server: Contender) -> None:
                for _ in range(repeats):
                    wire.get(
                        server.port, f"{server.get}large.bmp", MIB, f"{first}-{first + MIB - 1}"
                    )

            return action

        ours = servers["ours"]
        medians = bench.compare(
            "ranges", {"first": (ours, get_range(0)), "last": (ours, get_range(last))}
        )
        bench.judge(
            f"GET of the last 1 MiB of {4 * bench.size // MIB} MiB against the first,"
            f" CPU of {repeats}",
            medians["last"].cpu,
            medians["first"].cpu,
            1.2,
        )
    large.unlink()


def uploads(bench: Bench) -> None:
    """Upload by PUT, by PUT in chunks, and by POST of a form."""
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
        medians = bench.compare(work, actions)
        if "nginx" in medians:
            bench.judge(f"{work}, no digest, no fsync: wall, against nginx",
                        medians["fast"].wall, medians["nginx"].wall, 1.0)  # fmt: skip
            bench.judge(f"{work}, no digest, no fsync: CPU, against nginx",
                        medians["fast"].cpu, medians["nginx"].cpu, 1.0)  # fmt: skip
            alone = _hashing_alone(bench.size)
            bench.judge(f"{work}: CPU, against SHA-256 alone + 0.6 × nginx",
                        medians["ours"].cpu, alone + 0.6 * medians["nginx"].cpu, 1.0)  # fmt: skip
            bench.note("SHA-256 of as much, in process", f"{alone:.3g} s")
            bench.note(f"{work}: CPU of the client", f"{medians['ours'].client:.3g} s")
        if "copyparty" in medians:
            bench.judge(f"{work}: wall, against copyparty",
                        medians["ours"].wall, medians["copyparty"].wall, 0.35)  # fmt: skip
        for name in ("stock", "uploadserver"):
            if name in medians:
                _judge_both(bench, work, medians, name, None)
        bench.judge("the same as a form: wall, against our PUT",
                    medians["form"].wall, medians["ours"].wall, 1.15)  # fmt: skip
        bench.judge("the same in chunks: wall, against our PUT",
                    medians["chunked"].wall, medians["ours"].wall, 1.3)  # fmt: skip


def resumable(bench: Bench) -> None:
    """Upload by tus, in one request and in many."""
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

            medians = bench.compare(
                work, {name: (server, upload) for name, server in servers.items()}
            )
            if "tus_server" in medians:
                bench.judge(f"{work}: wall, against @tus/server",
                            medians["ours"].wall, medians["tus_server"].wall, 0.35)  # fmt: skip
            else:
                bench.note(work, f"{medians['ours'].wall:.3g} s")


def _judge_both(
    bench: Bench, work: str, medians: dict[str, Sample], name: str, factor: float | None
) -> None:
    ours, other = medians["ours"], medians[name]
    bench.judge(f"{work}: wall, against {name}", ours.wall, other.wall, factor)
    bench.judge(f"{work}: CPU, against {name}", ours.cpu, other.cpu, factor)


def _hashing_alone(size: int) -> float:
    """Return the median seconds of CPU for the SHA-256 of `size` bytes."""
    block = bytearray(os.urandom(MIB))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        digest = hashlib.sha256()
        for _ in range(size // MIB):
            digest.update(block)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


ROWS = {
    "downloads": downloads,
    "uploads": uploads,
    "resumable": resumable,
}
