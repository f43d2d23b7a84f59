"""The rows about a bucket: this service, boto3 and a version before, on the same SeaweedFS."""

import contextlib
import http.client
import io
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import contenders
import multiplex
import wire
from bench import Bench, Local, Measured, Sample
from contenders import Contender, Missing

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support import seaweed

MIB = 1 << 20
_LARGE = 256 * MIB
_CONNECTIONS = 16
_PAGE = 100
_PAGES = 30
_FILES = 2000


class _NullFile(io.RawIOBase):
    """A file that discards what is written to it."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return len(data)


@contextlib.contextmanager
def _store(base: Path) -> Iterator[seaweed.Seaweed]:
    try:
        with seaweed.running(base / "seaweed", volumes=100, volume_mib=256) as store:
            yield store
    except FileNotFoundError as error:
        raise Missing(str(error)) from None


def s3(bench: Bench) -> None:
    """Upload and download large and small files, and list a page of files."""
    for name, value in seaweed.CREDENTIALS.items():
        os.environ.setdefault(name, value)
    try:
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(_store(bench.base))
            services = {"ours": stack.enter_context(_service(bench, store, "ours"))}
            if bench.before:
                services["before"] = stack.enter_context(
                    _service(bench, store, "before", tree=bench.before)
                )
            _small(bench, store, services)
            if bench.workers == 1:
                _large(bench, store, services)
                _pages(bench, store, services["ours"])
    except Missing as missing:
        bench.missing.add(str(missing))


def _service(
    bench: Bench, store: seaweed.Seaweed, prefix: str, **options: Any
) -> contextlib.AbstractContextManager[Contender]:
    return contenders.fileservice(
        bench.base, workers=bench.workers, STORE_URL=store.url(prefix), **options
    )


def _small(bench: Bench, store: seaweed.Seaweed, services: dict[str, Contender]) -> None:
    numbers = itertools.count()

    def put(service: Contender) -> Sample:
        requests = multiplex.uploads(service.put, 1024, 1_000_000 * next(numbers))
        return multiplex.load(
            service.port, requests, connections=_CONNECTIONS, seconds=bench.seconds, status=201
        )

    def get(service: Contender) -> Sample:
        requests = multiplex.repeated("GET", f"{service.get}small.txt")
        return multiplex.load(
            service.port, requests, connections=_CONNECTIONS, seconds=bench.seconds
        )

    for name in services:
        store.client.put_object(Bucket=seaweed.BUCKET, Key=f"{name}/small.txt", Body=b"x" * 1024)
    for method, load in (("PUT", put), ("GET", get)):
        work = f"{method} 1 KiB over a bucket, {_CONNECTIONS} connections"
        bench.compare(work, {name: (s, partial(load, s)) for name, s in services.items()})
        text = f"{work}: requests for each second of CPU"
        if "before" in services:
            bench.judge(f"{text}, against before", (work, "ours", "per_core"),
                        (work, "before", "per_core"), at_least=3.0, unit="/s")  # fmt: skip
        else:
            bench.note(text, f"{bench.median(work, 'ours', 'per_core'):.0f}/s")


def _large(bench: Bench, store: seaweed.Seaweed, services: dict[str, Contender]) -> None:
    size = min(bench.size, _LARGE)
    source = wire.sample_file(bench.base / "source.bmp", size)
    bucket, client = seaweed.BUCKET, store.client

    def key(name: str) -> str:
        return f"{name}/large.bmp"

    def upload_by_boto3() -> None:
        with source.open("rb") as file:
            client.upload_fileobj(file, bucket, key("boto3"))

    def removed(name: str, upload: Callable[[], None]) -> Callable[[], None]:
        """Return the upload of a file that is removed before."""

        def action() -> None:
            client.delete_object(Bucket=bucket, Key=key(name))
            upload()

        return action

    memory = services["ours"].memory()
    boto3_ = Local()
    puts: dict[str, tuple[Measured, Callable[[], None]]] = {
        "boto3": (boto3_, removed("boto3", upload_by_boto3))
    }
    gets: dict[str, tuple[Measured, Callable[[], None]]] = {
        "boto3": (boto3_, lambda: client.download_fileobj(bucket, key("boto3"), _NullFile()))
    }
    for name, service in services.items():
        upload = partial(wire.put, service.port, f"{service.put}large.bmp", source)
        puts[name] = service, removed(name, upload)
        gets[name] = service, partial(wire.get, service.port, f"{service.get}large.bmp", size)
    for method, actions in (("PUT", puts), ("GET", gets)):
        work = f"{method} {size // MIB} MiB over a bucket"
        bench.compare(work, actions)
        bench.judge(f"{work}: wall, against boto3",
                    (work, "ours", "wall"), (work, "boto3", "wall"), at_most=1.25)  # fmt: skip
        bench.judge(f"{work}: wall, against before",
                    (work, "ours", "wall"), (work, "before", "wall"), at_most=1.0)  # fmt: skip
    grown = services["ours"].memory() - memory
    bench.judge_limit("memory that transfers over a bucket add", grown / MIB, 32, "MiB")
    source.unlink()


def _pages(bench: Bench, store: seaweed.Seaweed, ours: Contender) -> None:
    def put(number: int) -> None:
        store.client.put_object(Bucket=seaweed.BUCKET, Key=f"ours/f{number:06}.txt", Body=b"")

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(put, range(_FILES)):
            pass
    page = {"Bucket": seaweed.BUCKET, "Prefix": "ours/", "MaxKeys": _PAGE}
    connection = http.client.HTTPConnection("127.0.0.1", ours.port)

    def list_ours() -> None:
        connection.request("GET", f"/download?limit={_PAGE}&after=f001000.txt")
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise wire.Unexpected(f"the list was answered with {answer.status}")

    def list_by_boto3() -> None:
        store.client.list_objects_v2(**page, StartAfter="ours/f001000.txt")

    seconds: dict[str, list[float]] = {"ours": [], "boto3": []}
    for _ in range(_PAGES):
        seconds["ours"].append(_timed(list_ours))
        seconds["boto3"].append(_timed(list_by_boto3))
    connection.close()
    bench.judge_values(
        f"page of {_PAGE} of {_FILES} files of a bucket, against ListObjectsV2",
        statistics.median(seconds["ours"]) * 1000,
        statistics.median(seconds["boto3"]) * 1000,
        at_most=1.5,
        unit="ms",
    )


def _timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


ROWS = {"s3": s3}
