"""Create: what is refused before a byte is sent, and what a new upload reserves."""

import hashlib
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import NameTaken, StorageFull
from fileservice.storage.local import LocalStore, space
from fileservice.upload import (
    ExtensionNotAllowed,
    NoExtension,
    ResumableUploads,
    TooLarge,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    UploadState,
)
from tests.support.rows import every_row
from tests.upload.resumable.process import DAY, NAME, POLICY, TEXT, Process, stored_kinds

MIB = 1 << 20


@every_row(
    ("name", "length", "error"),
    [
        ("note", 10, NoExtension),
        ("note.exe", 10, ExtensionNotAllowed),
        ("note.txt", POLICY.max_size + 1, TooLarge),
    ],
)
def test_refused_upload_leaves_nothing(
    process: Process, store_path: Path, name: str, length: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        process.create(length, FileName.parse(name))

    assert stored_kinds(store_path) == set()


def test_partial_upload_that_is_too_large_is_refused(process: Process) -> None:
    with pytest.raises(TooLarge):
        process.uploads.create(None, POLICY.max_size + 1, {})


def test_upload_for_a_taken_name_is_refused(process: Process, store_path: Path) -> None:
    process.append(process.create(), 0, TEXT)

    with pytest.raises(NameTaken):
        process.create()

    assert stored_kinds(store_path) == {".json"}


def test_upload_that_repeats_a_stored_file_begins_as_published(process: Process) -> None:
    process.append(process.create(), 0, TEXT)
    digests = {"sha-256": hashlib.sha256(TEXT).digest()}

    status = process.uploads.create(UploadRequest(NAME, None, digests=digests), None, {})

    assert status.state is UploadState.PUBLISHED
    assert status.file == process.store.stat(NAME)
    assert status.offset == len(TEXT)


def test_empty_upload_is_published_at_once(process: Process) -> None:
    request = UploadRequest(NAME, 0)

    assert process.uploads.create(request, 0, {}).state is UploadState.PUBLISHED
    assert process.content() == b""


def test_empty_upload_with_explicit_completion_waits_for_it(process: Process) -> None:
    request = UploadRequest(NAME, 0)

    status = process.uploads.create(request, 0, {}, explicit_completion=True)
    assert status.state is UploadState.RECEIVING

    assert process.append(status.upload, 0, final=True).state is UploadState.PUBLISHED


def test_space_for_the_declared_length_is_reserved_until_the_upload_is_cancelled(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(_directory: bytes) -> int:
        """Return what a disk of 50 MiB has left on which nobody else writes."""
        files = (path.stat() for path in store_path.rglob("*") if path.is_file())
        return 50 * MIB - sum(status.st_blocks * 512 for status in files)

    monkeypatch.setattr(space, "free", free)
    policy = UploadPolicy(types=filetypes.TABLE, max_size=40 * MIB, min_free=0, digest=True)
    process = Process(store_path, policy)
    first = process.create(30 * MIB)
    with pytest.raises(StorageFull):
        process.create(30 * MIB, FileName.parse("other.txt"))

    process.uploads.cancel(first)

    process.create(30 * MIB, FileName.parse("other.txt"))


def test_upload_is_created_in_a_store_that_became_usable_after_the_start(store_path: Path) -> None:
    store = LocalStore(store_path, fsync=False, verified=True)  # without any of our directories
    store_path.mkdir()
    uploads = ResumableUploads(UploadContext(store, POLICY, InlineExecutor()), expiry=DAY)

    assert uploads.create(UploadRequest(NAME, 5), 5, {}).offset == 0
