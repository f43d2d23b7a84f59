"""The record of an upload: stored as JSON and read again, or refused as unreadable."""

import json
from dataclasses import replace

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.upload.resumable.record import UnreadableRecord, UploadKind, UploadRecord
from fileservice.upload.resumable.state import UploadState
from tests.support.rows import every_row

NAME = FileName.parse("naïve.txt")
FILE = StoredFile(NAME, 10, 123, Content("text/plain", "utf-8", bytes(32)), "version")
RECORD = UploadRecord(NAME, 10, {"Upload-Metadata": "filename bmFtZQ=="}, client="192.0.2.1")


@every_row(
    "record",
    [
        RECORD,
        UploadRecord(None, None, {}, kind=UploadKind.PARTIAL),
        UploadRecord(NAME, 10, {}, kind=UploadKind.FINAL, state=UploadState.CONCATENATING),
        replace(RECORD, digests={"sha-256": b"\x01" * 32}, verified_size=5),
        replace(RECORD, explicit_completion=True, length=None),
        replace(RECORD, replaces=("version", "another")),
        replace(RECORD, replaces=()),
        replace(RECORD, state=UploadState.PUBLISHED, file=FILE),
        replace(
            RECORD,
            state=UploadState.PUBLISHED,
            file=replace(FILE, content=Content("image/png")),
        ),
        replace(RECORD, state=UploadState.FAILED, failure="not text"),
        replace(RECORD, state=UploadState.EXPIRED),
    ],
)
def test_record_is_read_as_it_was_written(record: UploadRecord) -> None:
    assert UploadRecord.from_bytes(record.to_bytes()) == record


@every_row("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"name": "a/b"}'])
def test_other_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        UploadRecord.from_bytes(data)


@every_row(
    "changes",
    [
        {"name": "a/b.txt"},
        {"name": None},
        {"kind": "partial"},
        {"kind": "of another version"},
        {"state": "of another version"},
        {"state": "published"},
        {"state": "failed"},
        {"failure": "not text"},
        {"digests": {"sha-256": "no hexadecimal digits"}},
        {"a field": "of another version"},
    ],
)
def test_record_with_a_contradiction_is_unreadable(changes: dict[str, object]) -> None:
    fields = json.loads(RECORD.to_bytes()) | changes
    with pytest.raises(UnreadableRecord):
        UploadRecord.from_bytes(json.dumps(fields).encode())
