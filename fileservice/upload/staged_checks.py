"""Checks by the operator's programs, which a complete file has to pass before it is published.

They are asked once all bytes have arrived and the content and the digests were verified. Every
upload takes this way, since `publish` is the only one. A check may take minutes. It therefore
holds no thread that other work needs, and only a few files are checked at the same time.
"""

import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fileservice.executor import Executor, RunCpu
from fileservice.names import FileName
from fileservice.storage import Content, StagedFile, StorageUnavailable
from fileservice.upload.errors import TooManyChecks

_WAIT_SECONDS = 30.0
"""How long a file waits for others to be checked: less than most proxies wait for an answer."""
_IN_MEMORY = 8 << 20
"""A copy of a file with up to this many bytes is kept in memory, and of a larger one on a disk."""
_READ_SIZE = 8 << 20
"""How many bytes are fetched at once from a store that keeps them elsewhere."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known about a file that is complete and yet to be published."""

    name: FileName
    size: int
    content: Content
    principal: str
    """Whose upload it is, such as ``token:ci``; empty where there is no access control."""


class StagedCheck(Protocol):
    """Looks at a complete file."""

    def __call__(self, descriptor: int, facts: FileFacts, /) -> None:
        """Return if the file may be published; else raise RefusedByCheck or NotChecked.

        `descriptor` is for reading only, and the offset may be anywhere. This blocks outside of the
        executor's threads.
        """


class StagedChecks:
    """Asks all checks about each file, of which `limit` are checked at the same time."""

    def __init__(self, checks: Sequence[StagedCheck], limit: int) -> None:
        self._checks = checks
        self._slots = threading.BoundedSemaphore(limit)

    def require(self, staged: StagedFile, facts: FileFacts, executor: Executor) -> None:
        """Return if all checks accept the file. Blocks, outside of the executor's threads.

        Raise what the first check raises that does not, TooManyChecks, or StorageUnavailable if
        the bytes cannot be read, or there is no room for a copy of them.
        """
        if not self._slots.acquire(timeout=_WAIT_SECONDS):
            raise TooManyChecks
        try:
            descriptor = executor.run_io(_open, staged, executor.run_cpu)
            try:
                for check in self._checks:
                    check(descriptor, facts)
            finally:
                os.close(descriptor)
        finally:
            self._slots.release()


def _open(staged: StagedFile, run_cpu: RunCpu) -> int:
    """Return a descriptor for reading with all bytes of the file. Blocks."""
    reopened = staged.reopen()
    if reopened is not None:
        return reopened
    try:
        copy = _new_file(staged.size)
        try:
            for offset in range(0, staged.size, _READ_SIZE):
                block = staged.read_at(min(_READ_SIZE, staged.size - offset), offset)
                run_cpu(_write_all, copy, block)  # a disk may hold up the event loop for long
            return os.open(f"/proc/self/fd/{copy}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(copy)
    except OSError as error:
        raise StorageUnavailable(
            f"the file could not be copied so that it is checked: {error.strerror}"
        ) from error


def _new_file(size: int) -> int:
    """Return a descriptor of an empty file without a name, in memory if it is for few bytes."""
    if size <= _IN_MEMORY:
        return os.memfd_create("fileservice", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    return descriptor


def _write_all(descriptor: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
