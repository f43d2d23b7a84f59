"""A worker process with resumable uploads, and what lies in the directory of its store."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    AppendRequest,
    Caller,
    LockTiming,
    ResumableUploads,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    UploadStatus,
)

NAME = FileName.parse("note.txt")
TEXT = b"a line of text\n" * 1000
DAY = 86400.0
POLICY = UploadPolicy(types=filetypes.TABLE, max_size=1 << 20, min_free=0, digest=True)
TIMING = LockTiming(idle=0.3, acquire=30.0, poll=0.01, watch=0.02)


class ConnectionCut(Exception):
    """The client closed the connection before the end of its body."""


class ProcessKilled(Exception):
    """The process was killed (SIGKILL), so nothing it does has an effect any more."""


class KillableExecutor(InlineExecutor):
    """The executor of a process that can be killed; of its calls only those that close files work,
    as the kernel closes the files of a process."""

    is_killed = False

    def run_io(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self.is_killed and function.__name__ != "close":
            raise ProcessKilled
        return super().run_io(function, *args, **kwargs)


class Process:
    """One worker process; it creates uploads for `name`, which is text of `TEXT`'s length."""

    def __init__(
        self,
        store_path: Path,
        policy: UploadPolicy = POLICY,
        timing: LockTiming = TIMING,
        store_class: type[LocalStore] = LocalStore,
    ) -> None:
        self.store = store_class(store_path, fsync=False)
        self.executor = KillableExecutor()
        context = UploadContext(self.store, policy, self.executor)
        self.uploads = ResumableUploads(context, expiry=DAY, lock_timing=timing)

    def create(
        self, length: int | None = len(TEXT), name: FileName = NAME, client: str = ""
    ) -> str:
        request = UploadRequest(name, length)
        return self.uploads.create(request, length, {}, caller=Caller(client=client)).upload

    def create_partial(self, data: bytes) -> str:
        """Create a partial upload of `data`, complete it, and return its id."""
        upload = self.uploads.create(None, len(data), {}).upload
        self.append(upload, 0, data)
        return upload

    def append(self, upload: str, offset: int, *blocks: bytes, **options: Any) -> UploadStatus:
        """Append blocks whose length is declared."""
        options.setdefault("content_length", sum(map(len, blocks)))
        return self.append_body(upload, offset, iter(blocks), **options)

    def append_body(
        self,
        upload: str,
        offset: int,
        body: Iterable[bytes],
        *,
        content_length: int | None = None,
        interrupt: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> UploadStatus:
        """Append a body whose length is unknown."""
        request = AppendRequest(offset, body, content_length, interrupt, **options)
        return self.uploads.append(upload, request)

    def content(self, name: FileName = NAME) -> bytes:
        with self.store.open(name).body as body:
            return body.read()


def upload_path(store_path: Path, upload: str) -> Path:
    """Return the path of an upload's bytes."""
    return store_path / ".fileservice/uploads" / upload


def stored_kinds(store_path: Path) -> set[str]:
    """Return which kinds of files there are of resumable uploads: "bytes", or suffixes."""
    private = store_path / ".fileservice"
    paths = [*(private / "uploads").iterdir(), *(private / "ended").iterdir()]
    return {path.suffix or "bytes" for path in paths}


def make_older(store_path: Path, upload: str, seconds: float = DAY + 1) -> None:
    """Set the files of an upload back in time, as if nobody had changed it for so long."""
    then = time.time() - seconds
    for directory in ("uploads", "ended"):
        for path in (store_path / ".fileservice" / directory).glob(f"{upload}*"):
            os.utime(path, (then, then))


def cut_after(*blocks: bytes) -> Iterator[bytes]:
    """Yield blocks of a body whose connection is cut after them."""
    yield from blocks
    raise ConnectionCut


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; fail after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
