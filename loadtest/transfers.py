"""The rows about one large file: uploads of every form, and downloads."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import contenders
import file_servers
import web_servers
import wire
from bench import Bench
from contenders import Contender, Opener

MIB = 1 << 20
_SOURCE = 128 * MIB
"""The size of what is sent, again and again. It does not fit the caches of the processor."""
_PATCH = 16 * MIB
_FAST = {"DIGEST": "none", "FSYNC": "false"}


def uploads(bench: Bench) -> None:
    """Upload with the defaults, which are a digest and syncs."""
    base, workers = bench.base, bench.workers
    source = _picture(bench)
    openers: dict[str, Opener] = {
        "limit: one thread": lambda: contenders.bare_loop(base, digest="same", fsync=True),
        "limit: hashing in a second thread": lambda: contenders.bare_loop(
            base, digest="thread", fsync=True
        ),
        "ours": lambda: contenders.fileservice(base, workers=workers),
        "stock": lambda: contenders.fileservice(base, workers=workers, stock=True),
        "copyparty": lambda: file_servers.copyparty(base, workers=workers),
        "copyparty, SHA-512": lambda: file_servers.copyparty(
            base, workers=workers, digest="sha512"
        ),
    }
    with bench.running(openers) as servers:
        work = f"PUT {bench.size // MIB} MiB, digest and fsync"
        actions = {
            name: (server, _put(server, source, bench.size)) for name, server in servers.items()
        }
        ours = servers["ours"]
        forms = {"ours, " + name: (ours, action) for name, action in _forms(bench, ours).items()}
        bench.compare(work, actions | forms)
    for path in bench.base.glob("source*"):
        path.unlink()
    loops = [name for name in servers if name.startswith("limit")]
    limit = min(loops, key=lambda name: bench.median(work, name, "wall"))
    bench.judge(f"{work}: wall, against the faster loop ({limit.removeprefix('limit: ')})",
                (work, "ours", "wall"), (work, limit, "wall"), at_most=1.1)  # fmt: skip
    bench.judge(f"{work}: CPU, against that loop",
                (work, "ours", "cpu"), (work, limit, "cpu"), at_most=1.15)  # fmt: skip
    for name in ("copyparty", "copyparty, SHA-512"):
        bench.judge(f"{work}: wall, against {name}",
                    (work, "ours", "wall"), (work, name, "wall"), at_most=0.35)  # fmt: skip
    for name in forms:
        bound = 1.25 if name.endswith("PATCHes") else 1.1
        bench.judge(f"{work}: {name.removeprefix('ours, ')}: wall, against the picture by PUT",
                    (work, name, "wall"), (work, "ours", "wall"), at_most=bound)  # fmt: skip


def _forms(bench: Bench, ours: Contender) -> dict[str, Callable[[], None]]:
    """Return the ways to upload as much as text, and not by PUT with a Content-Length."""
    if bench.workers > 1:  # one upload is handled by one worker
        return {}
    size, picture = bench.size, bench.base / "source.bmp"
    length = picture.stat().st_size
    texts = {
        "ASCII (.txt)": ("txt", "Plain lines of text, as in a log: 0123456789.\n", "", ""),
        "UTF-8 (.txt)": ("txt", "Grüße, wie man sie schreibt: äöü, ñ, 日本語 und mehr.\n", "", ""),
        "ASCII (.csv)": ("csv", "2026-11-26,1024,some text,0.25\n", "date,size,text,ratio\n", ""),
        "ASCII (.json)": ("json", '{"date": "2026-11-26", "size": 1024},\n', "[\n", "null]"),
        "UTF-8 (.json)": ("json", '{"name": "Grüße, 日本語", "size": 1024},\n', "[\n", "null]"),
    }
    forms: dict[str, Callable[[], None]] = {}
    for number, (name, (extension, *lines)) in enumerate(texts.items()):
        text = wire.text_file(bench.base / f"source-{number}.{extension}", length, *lines)
        path = f"{ours.put}put-1.{extension}"
        forms[name] = partial(wire.put, ours.port, path, text, size)
    path = f"{ours.put}put-1.bmp"
    chunks = wire.chunked_file(bench.base / "source.chunks", picture)
    forms["in chunks"] = partial(wire.put_chunked, ours.port, path, chunks, size)
    forms["as a form"] = partial(
        wire.post_form, ours.port, ours.form, ours.field, "put-1.bmp", picture, size
    )
    forms["tus, one PATCH"] = _tus(ours, picture, size, size)
    forms[f"tus, {size // _PATCH} PATCHes"] = _tus(ours, picture, size, _PATCH)
    return forms


def bare_uploads(bench: Bench) -> None:
    """Upload without a digest and syncs, which is all that most of the others do."""
    base, workers, size = bench.base, bench.workers, bench.size
    source = _picture(bench)
    openers: dict[str, Opener] = {
        "limit": lambda: contenders.bare_loop(base),
        "ours": lambda: contenders.fileservice(base, workers=workers, **_FAST),
        "nginx": lambda: web_servers.nginx(base, workers=workers),
        "nginx, aio threads": lambda: web_servers.nginx(base, workers=workers, threads=True),
        "copyparty, no digest": lambda: file_servers.copyparty(base, workers=workers, digest="no"),
    }
    if workers == 1:
        openers |= {
            "apache": lambda: web_servers.apache(base),
            "lighttpd": lambda: web_servers.lighttpd(base),
            "rclone serve webdav": lambda: file_servers.rclone(base),
            "wsgidav on cheroot": lambda: file_servers.wsgidav(base),
            "SeaweedFS's filer": lambda: file_servers.seaweed_filer(base),
            "uploadserver, as a form": lambda: file_servers.uploadserver(base),
            "@tus/server, one PATCH": lambda: file_servers.tus_server(base),
        }
    with bench.running(openers) as servers:
        work = f"PUT {size // MIB} MiB, no digest, no fsync"
        actions = {name: (server, _put(server, source, size)) for name, server in servers.items()}
        if server := servers.get("uploadserver, as a form"):
            action = partial(
                wire.post_form, server.port, server.form, server.field, "put-1.bmp", source, size
            )
            actions["uploadserver, as a form"] = server, action
        if server := servers.get("@tus/server, one PATCH"):
            actions["@tus/server, one PATCH"] = server, _tus(server, source, size, size)
            name = f"@tus/server, {size // _PATCH} PATCHes"
            actions[name] = server, _tus(server, source, size, _PATCH)
        bench.compare(work, actions)
    source.unlink()
    bench.judge(f"{work}: CPU, against the loop",
                (work, "ours", "cpu"), (work, "limit", "cpu"), at_most=1.15)  # fmt: skip
    _judge_fastest(bench, work, ("nginx", "nginx, aio threads"), {"wall": 1.0})


def downloads(bench: Bench) -> None:
    """GET the whole file, from tmpfs and from the page cache of ext4."""
    for base, where in ((bench.base, "tmpfs"), (bench.disk, "ext4, in the page cache")):
        _download(bench, base, f"GET {bench.size // MIB} MiB, {where}")


def _download(bench: Bench, base: Path, work: str) -> None:
    workers, size = bench.workers, bench.size
    openers: dict[str, Opener] = {
        "limit": lambda: contenders.bare_loop(base),
        "ours": lambda: contenders.fileservice(base, workers=workers),
        "stock": lambda: contenders.fileservice(base, workers=workers, stock=True),
        "nginx": lambda: web_servers.nginx(base, workers=workers),
        "nginx, aio threads": lambda: web_servers.nginx(base, workers=workers, threads=True),
        "copyparty": lambda: file_servers.copyparty(base, workers=workers),
    }
    if workers == 1:
        openers |= {
            "apache": lambda: web_servers.apache(base),
            "lighttpd": lambda: web_servers.lighttpd(base),
            "rclone serve webdav": lambda: file_servers.rclone(base),
            "rclone serve http": lambda: file_servers.rclone(base, "http"),
            "wsgidav on cheroot": lambda: file_servers.wsgidav(base),
            "uploadserver": lambda: file_servers.uploadserver(base),
        }
        if base == bench.base:
            openers["SeaweedFS's filer"] = lambda: file_servers.seaweed_filer(base)
    source = wire.sample_file(base / "source.bmp", size)
    with bench.running(openers) as servers:
        for server in servers.values():
            server.offer(source, "get.bmp")
        bench.compare(
            work,
            {
                name: (server, partial(wire.get, server.port, f"{server.get}get.bmp", size))
                for name, server in servers.items()
            },
        )
    source.unlink()
    _judge_fastest(bench, work, ("nginx", "nginx, aio threads"), {"wall": 1.0, "cpu": 1.0})
    bench.judge(f"{work}: CPU, against the loop", (work, "ours", "cpu"), (work, "limit", "cpu"))


def ranges(bench: Bench) -> None:
    """GET ranges at the beginning and at the end of a file that is four times as large."""
    size = 4 * bench.size
    repeats = 400
    with contenders.fileservice(bench.base, workers=bench.workers) as ours:
        with (ours.files / "large.bmp").open("wb") as file:
            file.truncate(size)

        def get(first: int) -> None:
            for _ in range(repeats):
                byte_range = f"{first}-{first + MIB - 1}"
                wire.get(ours.port, f"{ours.get}large.bmp", MIB, byte_range)

        work = f"{repeats} ranges of 1 MiB of {size // MIB} MiB"
        bench.compare(
            work, {"first": (ours, partial(get, 0)), "last": (ours, partial(get, size - MIB))}
        )
    bench.judge(f"{work}: CPU of the last, against the first",
                (work, "last", "cpu"), (work, "first", "cpu"), at_most=1.2)  # fmt: skip


def _picture(bench: Bench) -> Path:
    return wire.sample_file(bench.base / "source.bmp", min(_SOURCE, bench.size))


def _put(server: Contender, source: Path, size: int) -> Callable[[], None]:
    return partial(wire.put, server.port, f"{server.put}put-1.bmp", source, size)


def _tus(server: Contender, source: Path, size: int, step: int) -> Callable[[], None]:
    def upload() -> None:
        path = wire.tus_create(server.port, server.tus, "put-1.bmp", size)
        wire.tus_patch(server.port, path, source, size, step)

    return upload


def _judge_fastest(
    bench: Bench, work: str, names: tuple[str, ...], bounds: dict[str, float]
) -> None:
    """Compare ours with the fastest of some others, in each way for which there is a bound."""
    measured = [name for name in names if name in bench.measured(work)]
    if not measured:
        return
    best = min(measured, key=lambda name: bench.median(work, name, "wall"))
    for what, bound in bounds.items():
        words = "CPU" if what == "cpu" else what
        bench.judge(f"{work}: {words}, against {best}",
                    (work, "ours", what), (work, best, what), at_most=bound)  # fmt: skip


ROWS = {
    "uploads": uploads,
    "bare_uploads": bare_uploads,
    "downloads": downloads,
    "ranges": ranges,
}
