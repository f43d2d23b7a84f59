"""What the tests of receive() have in common."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import Content
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    UploadContext,
    UploadPolicy,
    UploadRequest,
    UploadResult,
    receive,
)

TEXT = b"a line of text\n" * 1000
OTHER = b"another text\n"
NAME = FileName.parse("note.txt")
MIB = 1 << 20
BITMAP = (Path(__file__).parents[1] / "samples" / "img.bmp").read_bytes()


class ConnectionCut(Exception):
    """The client closed the connection before the end of its body."""


class Directory:
    """What is in the directory of the store."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def published(self) -> set[str]:
        return {path.name for path in self._root.iterdir()} - {".fileservice"}

    def staged(self) -> set[str]:
        return {path.name for path in (self._root / ".fileservice" / "staging").iterdir()}

    def is_empty(self) -> bool:
        return not self.published() and not self.staged()


def policy(max_size: int = 1 << 30, min_free: int = 0, digest: bool = True) -> UploadPolicy:
    return UploadPolicy(
        types=filetypes.select(filetypes.DEFAULT_EXTENSIONS),
        max_size=max_size,
        min_free=min_free,
        digest=digest,
    )


def request(name: str = NAME, length: int | None = None, create_only: bool = False,
          **digests: bytes) -> UploadRequest:  # fmt: skip
    declared = {algorithm.replace("sha", "sha-"): value for algorithm, value in digests.items()}
    return UploadRequest(FileName.parse(name), length, digests=declared, create_only=create_only)


def upload(
    store: LocalStore,
    upload_request: UploadRequest,
    blocks: Iterable[bytes] = (TEXT,),
    upload_policy: UploadPolicy | None = None,
) -> UploadResult:
    context = UploadContext(store, upload_policy or policy(), InlineExecutor())
    return receive(upload_request, blocks, context)


def never_read() -> Iterator[bytes]:
    pytest.fail("the body was read")
    yield b""


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def content_of(store: LocalStore, name: str = NAME) -> bytes:
    with store.open(FileName.parse(name)).body as body:
        return body.read()


def publish(store: LocalStore, content: bytes) -> None:
    writer = store.writer()
    try:
        writer.write(content)
        writer.publish(NAME, Content("text/plain", "utf-8", sha256(content)))
    finally:
        writer.close()
