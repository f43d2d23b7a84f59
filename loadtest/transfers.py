"""The rows about one large file: out, in, and in by tus."""

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
    bench.judge(f"{work}: wall, against {name}", ours.wall, other.wall, factor)
    bench.judge(f"{work}: CPU, against {name}", ours.cpu, other.cpu, factor)


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


ROWS = {
    "downloads": downloads,
    "uploads": uploads,
    "resumable": resumable,
}
