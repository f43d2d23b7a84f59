"""Cancel: an upload is removed with all it holds, and a published file stays."""

from pathlib import Path

import pytest

from fileservice.storage import NoSuchUpload
from tests.upload.resumable.process import TEXT, Process, stored_kinds, upload_path


def test_cancelled_upload_leaves_nothing(process: Process, store_path: Path) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT[:100])

    process.uploads.cancel(upload)

    with pytest.raises(NoSuchUpload):
        process.uploads.status(upload)
    assert stored_kinds(store_path) == set()


def test_cancelled_upload_that_was_published_leaves_its_file(
    process: Process, other_process: Process, store_path: Path
) -> None:
    upload = process.create()
    process.append(upload, 0, TEXT)
    assert not upload_path(store_path, upload).exists()  # creations do not have to count it

    other_process.uploads.cancel(upload)

    assert stored_kinds(store_path) == set()
    with pytest.raises(NoSuchUpload):
        process.uploads.status(upload)
    assert process.content() == TEXT


def test_cancel_if_empty_keeps_an_upload_with_bytes(process: Process) -> None:
    empty, begun = process.create(), process.create()
    process.append(begun, 0, TEXT[:1])

    process.uploads.cancel_if_empty(empty)
    process.uploads.cancel_if_empty(begun)

    assert process.uploads.status(begun).offset == 1
    with pytest.raises(NoSuchUpload):
        process.uploads.status(empty)


def test_cancel_if_empty_of_an_upload_that_does_not_exist_does_nothing(process: Process) -> None:
    process.uploads.cancel_if_empty("0" * 32)
