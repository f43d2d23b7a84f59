"""The rows about a bucket: our service compared with boto3, on the same SeaweedFS."""

import contextlib
import http.client
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import contenders
import wire
from bench import Bench
from contenders import Contender, Missing

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support import seaweed

MIB = 1 << 20
_PAGE = 100
_PAGES = 30


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
    """Upload and download one large file, and list a page of files."""
    size = bench.source.stat().st_size
    try:
        with _store(bench.base) as store, _ours(bench, store) as ours:
            client = boto3.client(
                "s3",
                endpoint_url=store.endpoint,
                region_name="us-east-1",
                aws_access_key_id="any",
                aws_secret_access_key="any",
            )
            _large(bench, store, ours, client, size)
            _pages(bench, ours, client)
    except Missing as missing:
        bench.missing.add(str(missing))


@contextlib.contextmanager
def _ours(bench: Bench, store: seaweed.Seaweed) -> Iterator[Contender]:
    for name, value in seaweed.CREDENTIALS.items():
        os.environ.setdefault(name, value)
    settings = {"STORE_URL": store.url("bench")}
    with contenders.fileservice(bench.base, workers=bench.workers, **settings) as ours:
        yield ours


def _large(bench: Bench, store: seaweed.Seaweed, ours: Contender, client: Any, size: int) -> None:
    bucket, key = seaweed.BUCKET, "bench/put-1.bmp"

    def upload() -> None:
        wire.put(ours.port, "/upload/put-1.bmp", bench.source)

    def upload_by_boto3() -> None:
        with bench.source.open("rb") as file:
            client.upload_fileobj(file, bucket, key)

    def download() -> None:
        wire.get(ours.port, "/download/put-1.bmp", size)

    def download_by_boto3() -> None:
        client.download_fileobj(bucket, key, _NullFile())

    seconds: dict[str, list[float]] = {"up": [], "up'": [], "down": [], "down'": []}
    memory = 0
    for round_number in range(bench.rounds + 1):
        for which, send, fetch in (
            ("", upload, download),
            ("'", upload_by_boto3, download_by_boto3),
        ):
            store.client.delete_object(Bucket=bucket, Key=key)
            before = ours.memory()
            sent, fetched = _timed(send), _timed(fetch)
            if not which and round_number:
                memory = max(memory, ours.memory() - before)
            if round_number:  # the first is the warm-up
                seconds[f"up{which}"].append(sent)
                seconds[f"down{which}"].append(fetched)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    mib = size // MIB
    bench.judge(f"S3: PUT {mib} MiB: wall, against boto3's upload_fileobj",
                medians["up"], medians["up'"], 1.25)  # fmt: skip
    bench.judge(f"S3: GET {mib} MiB: wall, against boto3's download_fileobj",
                medians["down"], medians["down'"], 1.25)  # fmt: skip
    bench.judge_limit("S3: memory that a transfer adds, after it", memory / MIB, 32, "MiB")


def _pages(bench: Bench, ours: Contender, client: Any) -> None:
    files = 100_000 if bench.rounds > 3 else 2_000

    def put(number: int) -> None:
        client.put_object(Bucket=seaweed.BUCKET, Key=f"bench/f{number:06}.txt", Body=b"")

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(put, range(files)):
            pass
    page = {"Bucket": seaweed.BUCKET, "Prefix": "bench/", "MaxKeys": _PAGE}
    connection = http.client.HTTPConnection("127.0.0.1", ours.port)

    def list_ours() -> None:
        connection.request("GET", f"/download?limit={_PAGE}&after=f001000.txt")
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise wire.Unexpected(f"the list was answered with {answer.status}")

    def list_by_boto3() -> None:
        client.list_objects_v2(**page, StartAfter="bench/f001000.txt")

    seconds: dict[str, list[float]] = {"ours": [], "boto3": []}
    for _ in range(_PAGES):
        seconds["ours"].append(_timed(list_ours))
        seconds["boto3"].append(_timed(list_by_boto3))
    connection.close()
    bench.judge(
        f"S3: a page of {_PAGE} of {files} files, against ListObjectsV2",
        statistics.median(seconds["ours"]) * 1000,
        statistics.median(seconds["boto3"]) * 1000,
        1.5,
        "ms",
    )


def _timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


ROWS = {"s3": s3}
