"""What the tests of every store do with files."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fileservice.names import FileName
from fileservice.storage import (
    Content,
    NameTaken,
    NotFound,
    Owner,
    Store,
    StoredFile,
    VersionChanged,
)

COMPETITORS = 8
NAME = FileName.parse("a.txt")


StoreAt = Callable[[float], Store]
"""Return the store of a test, as a process sees it whose clock stands at these Unix seconds."""


def content_of(data: bytes, media_type: str = "text/plain", charset: str | None = None) -> Content:
    """Return the description that the inspection of these bytes would give."""
    return Content(media_type, charset, hashlib.sha256(data).digest())


def publish(
    store: Store,
    name: str,
    data: bytes = b"data",
    content: Content | None = None,
    *,
    expires: int | None = None,
) -> StoredFile:
    """Publish a file as an upload does."""
    writer = store.writer(stream_to=FileName.parse(name))
    try:
        writer.write(data)
        content = content or content_of(data)
        return writer.publish(FileName.parse(name), content, expires=expires)
    finally:
        writer.close()


def replace(
    store: Store,
    name: str,
    data: bytes,
    version: str,
    owner: Owner | None = None,
    *,
    expires: int | None = None,
) -> StoredFile:
    """Publish a file in the place of a version of another, and return that one."""
    name = FileName.parse(name)
    writer = store.writer(len(data), stream_to=name)
    try:
        for start in range(0, len(data), 1 << 20):
            writer.write(data[start : start + (1 << 20)])
        writer.publish(name, content_of(data), owner, replaces=version, expires=expires)
        assert writer.replaced
        return writer.replaced
    finally:
        writer.close()


def read(store: Store, name: str) -> bytes:
    """Return all bytes of a published file."""
    with store.open(FileName.parse(name)).body as body:
        return body.read()


def names(store: Store, after: str = "", prefix: str = "", contains: str = "") -> list[str]:
    """Return the names that the store lists."""
    return [file.name for file in store.list(after=after, prefix=prefix, contains=contains)]


def compete(act: Callable[[int], object]) -> list[object]:
    """Call `act` in several threads at the same time; return each result or error."""
    start = threading.Barrier(COMPETITORS)

    def run(number: int) -> object:
        start.wait()
        try:
            return act(number)
        except (NameTaken, NotFound, VersionChanged) as error:
            return error

    with ThreadPoolExecutor(COMPETITORS) as threads:
        return list(threads.map(run, range(COMPETITORS)))
