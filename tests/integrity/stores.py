"""Stores of both kinds, and how a disk or another program damages a file in them."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fileservice.names import FileName
from fileservice.storage import Content, Owner, Store, StoredFile, open_store
from tests.support.seaweed import BUCKET, SeaweedClient

LARGE = 9 << 20
"""Bytes of a file that is sent to a bucket in parts."""


@dataclass(frozen=True)
class OpenStore:
    """A store, its URL, and a way to change a byte of a file in it without anything else."""

    url: str
    store: Store
    rot: Callable[[str], None]

    def put(self, name: str, data: bytes, *, expires: int | None = None) -> StoredFile:
        """Publish a file."""
        content = Content("text/plain", "utf-8", hashlib.sha256(data).digest())
        writer = self.store.writer(len(data))
        try:
            writer.write(data)
            owner = Owner("token:ci", "r1")
            return writer.publish(FileName.parse(name), content, owner, expires=expires)
        finally:
            writer.close()

    def read(self, name: str) -> bytes:
        with self.store.open(FileName.parse(name)).body as body:
            return body.read()


def in_directory(directory: Path) -> OpenStore:
    def rot(name: str) -> None:
        path = directory / name
        status = path.stat()
        _flip(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return OpenStore(str(directory), open_store(str(directory), fsync=False), rot)


def in_bucket(seaweed: SeaweedClient, prefix: str) -> OpenStore:
    def rot(name: str) -> None:
        key = {"Bucket": BUCKET, "Key": f"{prefix}/{name}"}
        stored = seaweed.client.get_object(**key)
        data = bytearray(stored["Body"].read())
        data[len(data) // 2] ^= 1
        fields = {"Metadata": stored["Metadata"], "ContentType": stored["ContentType"]}
        seaweed.client.put_object(**key, **fields, Body=bytes(data))

    url = seaweed.url(prefix)
    return OpenStore(url, open_store(url, fsync=False), rot)


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
