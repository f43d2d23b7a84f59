"""Copies of a store: which ones keep the digests, as docs/operating.md says, and which do not."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import Content
from fileservice.storage.local import attributes

NAME = FileName.parse("a.txt")
BYTES = b"text\n"
DIGEST = hashlib.sha256(BYTES).digest()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    store.mkdir()
    path = store / NAME
    path.write_bytes(BYTES)
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    descriptor = os.open(path, os.O_RDWR)
    try:
        attributes.write(NAME, Content("text/plain", "utf-8", DIGEST), None, descriptor)
    finally:
        os.close(descriptor)
    return store


def digest_in(directory: Path) -> bytes | None:
    descriptor = os.open(directory / NAME, os.O_RDONLY)
    try:
        return attributes.read(NAME, descriptor).content.sha256
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("cp -a store copy", True),
        ("cp -r store copy", False),
        ("mkdir copy && tar --xattrs -c -C store . | tar --xattrs -x -C copy", True),
        ("mkdir copy && tar --xattrs -c -C store . | tar -x -C copy", False),
        ("rsync -aX store/ copy", True),
        ("rsync -rX store/ copy", False),
    ],
)
def test_copy_with_attributes_and_times_keeps_the_digest(
    store: Path, tool: Callable[[str], str], command: str, kept: bool
) -> None:
    if command.startswith("rsync"):
        tool("rsync")
    subprocess.run(command, shell=True, cwd=store.parent, check=True, timeout=60)
    assert digest_in(store.parent / "copy") == (DIGEST if kept else None)


def test_digest_is_not_updated_if_bytes_change_without_their_modification_time(store: Path) -> None:
    status = (store / NAME).stat()
    (store / NAME).write_bytes(b"rot.\n")
    os.utime(store / NAME, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_in(store) == DIGEST
