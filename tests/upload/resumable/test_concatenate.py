"""Concatenate: complete partial uploads become one file."""

from pathlib import Path

import pytest

from fileservice.names import FileName
from fileservice.storage import NameTaken, NoSuchUpload
from fileservice.upload import (
    ContentMismatch,
    InvalidConcatenation,
    UploadIsFinal,
    UploadRequest,
    UploadState,
    UploadStatus,
)
from tests.upload.resumable.process import NAME, TEXT, Process, stored_kinds


def concatenate(process: Process, *parts: str, name: str = NAME) -> UploadStatus:
    request = UploadRequest(FileName.parse(name), None)
    return process.uploads.concatenate(request, parts, {})


def test_partial_uploads_become_one_file_and_are_removed(
    process: Process, other_process: Process, store_path: Path
) -> None:
    parts = [
        (process, other_process)[number % 2].create_partial(data)
        for number, data in enumerate((TEXT[:400], TEXT[400:401], b"", TEXT[401:]))
    ]

    status = concatenate(other_process, *parts)

    assert status.state is UploadState.PUBLISHED
    assert process.content() == TEXT
    assert stored_kinds(store_path) == {".json"}
    for part in parts:
        with pytest.raises(NoSuchUpload):
            process.uploads.status(part)


def test_final_upload_takes_no_bytes(process: Process) -> None:
    status = concatenate(process, process.create_partial(TEXT))

    with pytest.raises(UploadIsFinal):
        process.append(status.upload, len(TEXT), b"more")
    with pytest.raises(UploadIsFinal):
        process.append(status.upload, len(TEXT))


def test_final_upload_is_not_published_before_its_bytes_are_copied(
    process: Process, other_process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    writer = process.store.writer

    def record_statuses(*arguments: object, **keywords: object) -> object:
        for upload in other_process.store.uploads.list_ids():
            status = other_process.uploads.status(upload)
            seen.append((status.state, status.offset))
        return writer(*arguments, **keywords)

    part = process.create_partial(b"")
    monkeypatch.setattr(process.store, "writer", record_statuses)
    concatenate(process, part)

    assert sorted(seen) == [(UploadState.COMPLETE, 0), (UploadState.CONCATENATING, 0)]


def test_uploads_that_are_not_complete_partial_ones_are_refused(process: Process) -> None:
    incomplete = process.uploads.create(None, 10, {}).upload
    process.append(incomplete, 0, b"some")
    regular = process.create()
    final = concatenate(process, process.create_partial(TEXT)).upload

    for part in (incomplete, regular, final, "0" * 32, "no id"):
        with pytest.raises(InvalidConcatenation):
            concatenate(process, part, name="other.txt")

    assert process.uploads.status(incomplete).offset == 4


def test_wrong_type_in_the_head_leaves_the_parts_for_another_name(
    process: Process, store_path: Path
) -> None:
    part = process.create_partial(TEXT)
    uploads = store_path / ".fileservice/uploads"
    before = {path.name for path in uploads.iterdir()}

    with pytest.raises(ContentMismatch):
        concatenate(process, part, name="image.png")

    assert {path.name for path in uploads.iterdir()} == before
    assert concatenate(process, part).state is UploadState.PUBLISHED


def test_wrong_type_that_only_shows_at_the_end_removes_the_parts(
    process: Process, store_path: Path
) -> None:
    """Otherwise the same parts could be copied any number of times."""
    part = process.create_partial(b"PK\x03\x04" + TEXT)

    with pytest.raises(ContentMismatch):
        concatenate(process, part, name="archive.zip")

    assert stored_kinds(store_path) == set()
    with pytest.raises(InvalidConcatenation):
        concatenate(process, part, name="archive.zip")


def test_taken_name_leaves_the_parts_for_another_name_and_no_final_upload(
    process: Process, store_path: Path
) -> None:
    concatenate(process, process.create_partial(b"text"))
    part = process.create_partial(TEXT)
    before = set(process.store.uploads.list_ids())

    with pytest.raises(NameTaken):
        concatenate(process, part)

    assert set(process.store.uploads.list_ids()) == before
    assert concatenate(process, part, name="other.txt").state is UploadState.PUBLISHED


def test_partial_upload_cannot_be_used_twice_in_one_file(process: Process) -> None:
    part = process.create_partial(TEXT)

    with pytest.raises(InvalidConcatenation, match="once"):
        concatenate(process, *[part] * 200)

    assert concatenate(process, part).state is UploadState.PUBLISHED
    assert process.content() == TEXT
