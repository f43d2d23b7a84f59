"""Append: bytes are kept as they arrive, in whatever process, and counted by what is stored."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, StorageUnavailable
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.upload import (
    ContentMismatch,
    LengthConflict,
    OffsetMismatch,
    TooLarge,
    UploadGone,
    UploadState,
)
from tests.support.rows import every_row
from tests.upload.resumable.process import (
    NAME,
    POLICY,
    TEXT,
    ConnectionCut,
    Process,
    cut_after,
    stored_kinds,
    upload_path,
)


def test_file_is_published_with_its_last_byte_and_not_before(process: Process) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:5000])
    with pytest.raises(NotFound):
        process.store.stat(NAME)

    status = process.append(upload, 5000, TEXT[5000:])

    assert status.state is UploadState.PUBLISHED
    assert status.file == process.store.stat(NAME)
    assert status.file.content.sha256 == hashlib.sha256(TEXT).digest()
    assert process.content() == TEXT


def test_scan_of_bytes_that_could_not_be_synced_is_not_used_again(
    process: Process, other_process: Process, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be dropped, and others take their place."""
    upload = process.create()
    with monkeypatch.context() as patch:
        patch.setattr(LocalResumableWriter, "sync", fail)
        with pytest.raises(StorageUnavailable):
            process.append(upload, 0, b"x" * 5000)
    os.truncate(upload_path(store_path, upload), 0)

    other_process.append(upload, 0, TEXT[:5000])
    process.append(upload, 5000, TEXT[5000:])

    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(TEXT).digest()


def fail(_writer: LocalResumableWriter) -> None:
    raise StorageUnavailable("the disk has failed")


def test_file_is_published_if_each_block_comes_to_another_process(
    process: Process, other_process: Process, store_path: Path
) -> None:
    data = TEXT * 60
    upload = process.create(len(data))
    step, processes = len(data) // 7 + 1, [process, other_process, Process(store_path)]

    for number, offset in enumerate(range(0, len(data), step)):
        processes[number % 3].append(upload, offset, data[offset : offset + step])

    assert process.content() == data
    assert process.store.stat(NAME).content.sha256 == hashlib.sha256(data).digest()


def test_bytes_that_arrived_before_a_cut_are_kept(process: Process, other_process: Process) -> None:
    upload = process.create()
    with pytest.raises(ConnectionCut):
        process.append_body(upload, 0, cut_after(TEXT[:700], TEXT[700:900]))
    assert other_process.uploads.status(upload).offset == 900

    other_process.append(upload, 900, TEXT[900:])

    assert process.content() == TEXT


def test_bytes_are_synced_before_an_append_ends_or_fails(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.create()
    sync, synced = LocalResumableWriter.sync, []

    def record(self: LocalResumableWriter) -> None:
        sync(self)
        synced.append(self.size)

    monkeypatch.setattr(LocalResumableWriter, "sync", record)
    process.append(upload, 0, TEXT[:100])
    assert synced == [100]
    with pytest.raises(ConnectionCut):
        process.append_body(upload, 100, cut_after(TEXT[100:200]))
    assert synced == [100, 200]


def test_bytes_that_all_come_to_one_process_are_not_read_again(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = process.create()
    monkeypatch.setattr("os.pread", None)
    process.append(upload, 0, TEXT[:4000])
    process.append(upload, 4000, TEXT[4000:])
    assert process.content() == TEXT


@every_row("offset", [0, 99, 101, len(TEXT)])
def test_bytes_at_another_offset_are_refused(process: Process, offset: int) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])

    with pytest.raises(OffsetMismatch) as raised:
        process.append(upload, offset, b"more")

    assert raised.value.offset == 100
    assert process.uploads.status(upload).offset == 100


def test_declared_bytes_past_the_length_are_refused_before_they_are_read(process: Process) -> None:
    def never_read() -> Iterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    upload = process.create(100)
    with pytest.raises(TooLarge):
        process.append_body(upload, 0, never_read(), content_length=101)


def test_undeclared_bytes_past_the_length_are_dropped_and_those_before_are_kept(
    process: Process, other_process: Process
) -> None:
    """Another request may have reported the offset before them."""
    upload = process.create(100)
    reported = []

    def body() -> Iterator[bytes]:
        yield TEXT[:60]
        yield b""
        reported.append(other_process.uploads.status(upload).offset)
        yield TEXT[60:120]

    with pytest.raises(TooLarge):
        process.append_body(upload, 0, body())

    assert reported == [60]
    assert process.uploads.status(upload).offset == 60
    process.append(upload, 60, TEXT[60:100])
    assert process.content() == TEXT[:100]


def test_deferred_length_can_be_declared_again_but_not_changed(process: Process) -> None:
    upload = process.create(None)
    process.append(upload, 0, TEXT[:10])
    process.append(upload, 10, TEXT[10:20], length=30)

    with pytest.raises(LengthConflict):
        process.append(upload, 20, TEXT[20:30], length=31)
    process.append(upload, 20, TEXT[20:30], length=30)

    assert process.content() == TEXT[:30]


def test_deferred_length_has_the_limit_of_any_file(process: Process) -> None:
    upload = process.create(None)
    with pytest.raises(TooLarge):
        process.append(upload, 0, TEXT[:10], length=POLICY.max_size + 1)
    with pytest.raises(TooLarge):
        process.append(upload, 0, TEXT * 100)


def test_deferred_length_below_the_offset_is_refused(process: Process) -> None:
    upload = process.create(None)
    process.append(upload, 0, TEXT[:10])
    with pytest.raises(OffsetMismatch):
        process.append(upload, 10, length=9)


def test_empty_append_does_not_defer_the_expiry(process: Process) -> None:
    upload = process.create()
    before = process.uploads.status(upload).expires

    assert process.append(upload, 0).expires == before
    assert process.uploads.status(upload).expires == before


@pytest.mark.parametrize(
    ("blocks", "options"),
    [([], {"length": 1000}), ([TEXT[:10]], {}), ([TEXT[:10]], {"atomic": True})],
    ids=["only declared length", "bytes", "atomic"],
)
def test_append_reports_the_expiry_that_status_reports_next(
    process: Process, blocks: list[bytes], options: dict[str, Any]
) -> None:
    upload = process.create(None)

    reported = process.append(upload, 0, *blocks, **options).expires

    assert reported == pytest.approx(process.uploads.status(upload).expires, abs=60)


def test_wrong_type_ends_the_upload_and_its_reason_is_kept(
    process: Process, other_process: Process, store_path: Path
) -> None:
    upload = process.create(100_000, FileName.parse("image.png"))
    process.append(upload, 0, TEXT[:2000])
    with pytest.raises(ContentMismatch):
        other_process.append(upload, 2000, TEXT[2000:6000])

    with pytest.raises(UploadGone, match="image/png"):
        process.append(upload, 2000, TEXT[2000:6000])

    assert stored_kinds(store_path) == {".json"}


def test_name_that_was_taken_meanwhile_ends_the_upload(process: Process, store_path: Path) -> None:
    first, second = process.create(), process.create()
    process.append(first, 0, TEXT)
    with pytest.raises(NameTaken):
        process.append(second, 0, TEXT)

    with pytest.raises(UploadGone, match="already"):
        process.uploads.status(second)

    assert stored_kinds(store_path) == {".json"}


def test_empty_append_at_the_end_of_a_published_upload_succeeds_and_any_other_fails(
    process: Process,
) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT)

    assert process.append(upload, len(TEXT)).state is UploadState.PUBLISHED
    with pytest.raises(OffsetMismatch):
        process.append(upload, len(TEXT), b"more")
    with pytest.raises(OffsetMismatch):
        process.append(upload, 0)
