"""Over S3: through our service, against boto3 straight to the same SeaweedFS."""

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


class _Nowhere(io.RawIOBase):
    """Where what is downloaded goes."""

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
    """One large file in and out, and a page of the list."""
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

    def upload_straight() -> None:
        with bench.source.open("rb") as file:
            client.upload_fileobj(file, bucket, key)

    def download() -> None:
        wire.get(ours.port, "/download/put-1.bmp", size)

    def download_straight() -> None:
        client.download_fileobj(bucket, key, _Nowhere())

    found: dict[str, list[float]] = {"up": [], "up'": [], "down": [], "down'": []}
    memory = 0
    for turn in range(bench.rounds + 1):
        for which, send, fetch in (
            ("", upload, download),
            ("'", upload_straight, download_straight),
        ):
            store.client.delete_object(Bucket=bucket, Key=key)
            before = ours.memory()
            taken = [_timed(send), _timed(fetch)]
            if not which and turn:
                memory = max(memory, ours.memory() - before)
            if turn:
                found[f"up{which}"].append(taken[0])
                found[f"down{which}"].append(taken[1])
    middle = {name: statistics.median(values) for name, values in found.items()}
    mib = size // MIB
    bench.judge(f"S3: PUT {mib} MiB: wall, against boto3's upload_fileobj",
                middle["up"], middle["up'"], 1.25)  # fmt: skip
    bench.judge(f"S3: GET {mib} MiB: wall, against boto3's download_fileobj",
                middle["down"], middle["down'"], 1.25)  # fmt: skip
    bench.judge_limit("S3: memory that a transfer adds, after it", memory / MIB, 32, "MiB")


def _pages(bench: Bench, ours: Contender, client: Any) -> None:
    files = 100_000 if bench.rounds > 3 else 2_000

    def put(number: int) -> None:
        client.put_object(Bucket=seaweed.BUCKET, Key=f"bench/f{number:06}.txt", Body=b"")

    with ThreadPoolExecutor(8) as together:
        for _ in together.map(put, range(files)):
            pass
    page = {"Bucket": seaweed.BUCKET, "Prefix": "bench/", "MaxKeys": _PAGE}
    connection = http.client.HTTPConnection("127.0.0.1", ours.port)

    def list_ours() -> None:
        connection.request("GET", f"/download?limit={_PAGE}&after=f001000.txt")
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise wire.Unexpected(f"a page: {answer.status}")

    def list_straight() -> None:
        client.list_objects_v2(**page, StartAfter="bench/f001000.txt")

    found: dict[str, list[float]] = {"ours": [], "straight": []}
    for _ in range(_PAGES):
        found["ours"].append(_timed(list_ours))
        found["straight"].append(_timed(list_straight))
    connection.close()
    bench.judge(
        f"S3: a page of {_PAGE} of {files} files, against ListObjectsV2",
        statistics.median(found["ours"]) * 1000,
        statistics.median(found["straight"]) * 1000,
        1.5,
        "ms",
    )


def _timed(act: Callable[[], None]) -> float:
    start = time.monotonic()
    act()
    return time.monotonic() - start


ROWS = {"s3": s3}
