"""Copying all files of a store to another one, with what is known of them.

Their names, bytes, types, digests, expiries and owners are copied. Their modification times cannot
be: a bucket has its own. What was reserved of a quota stays behind, since it is of the first store.

A file that is at the target already, with the same bytes, is left as it is. So a copy that was
interrupted goes on if it is called again.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

from fileservice.integrity.reading import ReadThrottle, blocks_of, digest_of, drop_cache
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, Opened, Owner, Store, StoredFile


class CopyState(StrEnum):
    """What has come of a file."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    """The target has it already."""
    CONFLICT = "conflict"
    """The target has another file of this name, which stays."""
    DAMAGED = "damaged"
    """The bytes do not have the digest of the file, so they are not copied."""
    MISSING = "missing"
    """It was deleted meanwhile, or has expired."""


@dataclass(frozen=True, slots=True)
class Copied:
    """The result for one file."""

    name: FileName
    state: CopyState
    size: int = 0
    """Bytes."""
    reason: str = ""


def copy_files(
    source: Store, target: Store, *, after: str = "", threads: int = 4, rate: ReadThrottle
) -> Iterator[Copied]:
    """Copy the files whose names follow `after`, and yield what has come of each, by name.

    So many `threads` copy files at the same time. Raise StorageError.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending = deque[Future[Copied]]()
        try:
            for listed in source.list(after, brief=True):
                pending.append(pool.submit(copy_file, source, target, listed.name, rate))
                if len(pending) >= 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def copy_file(source: Store, target: Store, name: FileName, rate: ReadThrottle) -> Copied:
    """Copy one file. Raise StorageError."""
    try:
        file = source.stat(name)
        existing = _find(target, name)
        if existing:
            return _compare(source, target, file, existing, rate)
        opened = source.open(name, sequential=True)
    except NotFound:
        return Copied(name, CopyState.MISSING)
    with opened.body:
        try:
            return _copy(opened, target, rate)
        except NameTaken:
            reason = "another file has got the name, or has it until it is removed as expired"
            return Copied(name, CopyState.CONFLICT, opened.file.size, reason)


def _copy(opened: Opened, target: Store, rate: ReadThrottle) -> Copied:
    file, digest = opened.file, hashlib.sha256()
    writer = target.writer(file.size, stream_to=file.name)
    try:
        drop_cache(opened)
        try:
            for block in blocks_of(opened, rate):
                digest.update(block)
                writer.write(block)
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
            return Copied(file.name, CopyState.DAMAGED, file.size, reason)
        expected, found = file.content.sha256, digest.digest()
        if writer.size != file.size:
            reason = f"{writer.size} of {file.size} bytes could be read"
            return Copied(file.name, CopyState.DAMAGED, file.size, reason)
        if expected not in (None, found):
            reason = f"the SHA-256 is {found.hex()}, and was {(expected or b'').hex()}"
            return Copied(file.name, CopyState.DAMAGED, file.size, reason)
        content = replace(file.content, sha256=found)
        writer.publish(file.name, content, _owner(file), expires=file.expires)
        return Copied(file.name, CopyState.COPIED, file.size)
    finally:
        writer.close()


def _owner(file: StoredFile) -> Owner | None:
    """Return the owner without reservations, which are of the store that the file comes from."""
    return file.owner and replace(file.owner, reservation="", guest_reservation="")


def _compare(
    source: Store, target: Store, file: StoredFile, existing: StoredFile, rate: ReadThrottle
) -> Copied:
    """Say whether the target has the file; a digest that is not known is computed."""
    name, size = file.name, file.size
    if existing.size != size:
        return Copied(name, CopyState.CONFLICT, size, "the target has one of another size")
    if _digest(source, file, rate) != _digest(target, existing, rate):
        return Copied(name, CopyState.CONFLICT, size, "the target has one with other bytes")
    return Copied(name, CopyState.UNCHANGED, size)


def _digest(store: Store, file: StoredFile, rate: ReadThrottle) -> bytes:
    if file.content.sha256:
        return file.content.sha256
    opened = store.open(file.name, sequential=True)
    with opened.body:
        return digest_of(opened, rate)


def _find(store: Store, name: FileName) -> StoredFile | None:
    try:
        return store.stat(name)
    except NotFound:
        return None
