"""Atomic append: bytes under a checksum are kept if it holds, and else none of them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileservice.storage import Locked
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import ContentMismatch, OffsetMismatch, UploadGone, UploadState
from tests.upload.resumable.process import (
    NAME,
    TEXT,
    ConnectionCut,
    Process,
    ProcessKilled,
    cut_after,
    upload_path,
)

BINARY = b"\x00\x01" * 3000


def test_nothing_is_kept_after_a_cut(process: Process) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])
    with pytest.raises(ConnectionCut):
        process.append_body(upload, 100, cut_after(TEXT[100:200]), atomic=True)
    assert process.uploads.status(upload).offset == 100

    process.append(upload, 100, TEXT[100:], atomic=True)

    assert process.content() == TEXT


def leave_unverified_bytes(process: Process, upload: str) -> None:
    """Append 100 bytes, and kill the process when it has written 100 more that do not count."""

    def body() -> Iterator[bytes]:
        yield TEXT[100:200]
        yield b""  # by now the block before has been written
        process.executor.is_killed = True
        raise ProcessKilled

    process.append(upload, 0, TEXT[:100])
    with pytest.raises(ProcessKilled):
        process.append_body(upload, 100, body(), atomic=True)


def test_unverified_bytes_of_a_killed_process_do_not_count(
    process: Process, other_process: Process
) -> None:
    upload = process.create()
    leave_unverified_bytes(process, upload)
    assert other_process.store.uploads.bytes_written(upload) == 200
    assert other_process.uploads.status(upload).offset == 100

    other_process.append(upload, 100, TEXT[100:])

    assert other_process.content() == TEXT


def test_disk_that_loses_more_than_the_unverified_bytes_is_reported_as_another_offset(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_more(self: LocalResumableWriter, size: int) -> None:
        truncate(self, size - 10)

    upload, truncate = process.create(), LocalResumableWriter.truncate
    leave_unverified_bytes(process, upload)
    with monkeypatch.context() as patch:
        patch.setattr(LocalResumableWriter, "truncate", lose_more)
        with pytest.raises(OffsetMismatch) as raised:
            other_process.append(upload, 100, TEXT[100:])
    assert raised.value.offset == 90

    other_process.append(upload, 90, TEXT[90:])

    assert other_process.content() == TEXT


def test_scan_of_bytes_that_do_not_count_is_dropped_even_if_they_could_not_be(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has the lock by then, and receives other bytes at their offsets."""

    def raise_locked(*_: object) -> None:
        raise Locked

    upload = process.create()
    with monkeypatch.context() as patch:
        patch.setattr(LocalResumableWriter, "truncate", raise_locked)
        with pytest.raises(Locked):
            process.append_body(upload, 0, cut_after(b"x" * 5000), content_length=6000, atomic=True)

    other_process.append(upload, 0, TEXT[:6000])
    process.append(upload, 6000, TEXT[6000:])

    assert process.content() == TEXT
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(TEXT).digest()


def test_reserved_space_of_a_declared_length_is_kept_when_bytes_are_dropped(
    process: Process, store_path: Path
) -> None:
    upload = process.create(len(TEXT) * 50)
    path = upload_path(store_path, upload)
    reserved = path.stat().st_blocks
    assert reserved, "this file system cannot reserve"

    with pytest.raises(ConnectionCut):
        process.append_body(upload, 0, cut_after(TEXT), atomic=True)

    assert process.uploads.status(upload).offset == 0
    assert path.stat().st_blocks >= reserved


def test_damaged_bytes_are_not_rejected_as_a_wrong_type(process: Process) -> None:
    upload = process.create()
    with pytest.raises(ConnectionCut):  # like the error of a checksum that does not match
        process.append_body(upload, 0, cut_after(BINARY, TEXT[6000:]), atomic=True)

    assert process.append(upload, 0, TEXT, atomic=True).state is UploadState.PUBLISHED
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(TEXT).digest()


def test_wrong_type_under_a_matching_checksum_ends_the_upload(process: Process) -> None:
    upload = process.create()
    with pytest.raises(ContentMismatch):
        process.append(upload, 0, BINARY, TEXT[6000:], atomic=True)

    with pytest.raises(UploadGone):
        process.uploads.status(upload)
