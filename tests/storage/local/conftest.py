"""Stores in directories."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.storage.local import LocalStore
from tests.storage.contract.files import StoreAt
from tests.storage.local.processes import Child, StartChild
from tests.support.requirements import require

Mount = Callable[..., Path]
StagedFiles = Callable[[], list[Path]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of the store, which does not exist before there is one."""
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path) -> LocalStore:
    return LocalStore(directory, fsync=True)


@pytest.fixture
def another_store(store: LocalStore, directory: Path) -> LocalStore:
    """The same store, as another process has it."""
    return LocalStore(directory, fsync=True)


@pytest.fixture
def store_at(store: LocalStore, directory: Path) -> StoreAt:
    return lambda now: LocalStore(directory, fsync=True, clock=lambda: now)


@pytest.fixture
def staged_files(directory: Path) -> StagedFiles:
    """Return the files that are staged in the store."""
    return lambda: list((directory / ".fileservice/staging").iterdir())


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a new file system: `mount("tmpfs", "size=1m")`. Only root can."""
    if os.geteuid() != 0:
        require("only root can mount file systems")
    mounted: list[Path] = []

    def make(kind: str, options: str = "defaults") -> Path:
        path = tmp_path / f"mounted-{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", kind, "-o", options, kind, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            require(f"no {kind} can be mounted here: {done.stderr.strip()}")
        mounted.append(path)
        return path

    yield make
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def start_child() -> Iterator[StartChild]:
    """Start processes that are killed at the end of the test: `start_child(code, *arguments)`."""
    with contextlib.ExitStack() as children:

        def start(code: str, *arguments: object) -> Child:
            child = Child(code, *arguments)
            children.callback(child.kill)
            return child

        yield start


@pytest.fixture
def fail_next_fsync(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Make the next fsync of this file or directory fail with this error number.

    Later ones succeed, as they do in the kernel: `fail_next_fsync(path, errno.EIO)`.
    """
    fsync = os.fsync

    def fail(path: Path, number: int = errno.EIO) -> None:
        def failing(descriptor: int) -> None:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                monkeypatch.setattr(os, "fsync", fsync)
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)

    return fail
