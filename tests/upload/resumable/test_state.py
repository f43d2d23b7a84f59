"""The states of an upload: which events are allowed in which of them, and where they lead."""

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.upload.resumable.record import UploadKind, UploadRecord
from fileservice.upload.resumable.state import (
    InvalidTransition,
    UploadEvent,
    UploadState,
    next_state,
)
from fileservice.upload.resumable.status import UploadStatus
from tests.support.rows import every_row

NAME = FileName.parse("note.txt")
FILE = StoredFile(NAME, 10, 0, Content("text/plain"), "version")

ALLOWED = {
    ("RECEIVING", "APPEND"): "RECEIVING",
    ("RECEIVING", "RECEIVE_ALL"): "COMPLETE",
    ("RECEIVING", "REJECT"): "FAILED",
    ("RECEIVING", "EXPIRE"): "EXPIRED",
    ("COMPLETE", "APPEND"): "COMPLETE",
    ("COMPLETE", "PUBLISH"): "PUBLISHED",
    ("COMPLETE", "REJECT"): "FAILED",
    ("COMPLETE", "EXPIRE"): "EXPIRED",
    ("CONCATENATING", "PUBLISH"): "PUBLISHED",
    ("CONCATENATING", "EXPIRE"): "EXPIRED",
}


@every_row("event", UploadEvent)
@every_row("state", UploadState)
def test_event_leads_to_the_state_in_the_table_or_raises(
    state: UploadState, event: UploadEvent
) -> None:
    expected = ALLOWED.get((state.name, event.name))
    if expected:
        assert next_state(state, event) is UploadState[expected]
    else:
        with pytest.raises(InvalidTransition, match=state.name):
            next_state(state, event)


@every_row("state", UploadState)
def test_upload_has_ended_if_nothing_can_happen_to_it(state: UploadState) -> None:
    assert state.has_ended == (state.name not in {name for name, _ in ALLOWED})


def status(
    length: int | None = 10,
    offset: int = 0,
    *,
    kind: UploadKind = UploadKind.REGULAR,
    state: UploadState = UploadState.RECEIVING,
    explicit_completion: bool = False,
) -> UploadStatus:
    name = None if kind is UploadKind.PARTIAL else NAME
    record = UploadRecord(
        name, length, {}, kind=kind, state=state, explicit_completion=explicit_completion
    )
    return UploadStatus("0" * 32, record, offset, expires=0.0)


def test_upload_is_complete_with_its_last_byte() -> None:
    assert status(10, 9).state is UploadState.RECEIVING
    assert status(10, 10).state is UploadState.COMPLETE
    assert status(0, 0).state is UploadState.COMPLETE
    assert status(None, 10).state is UploadState.RECEIVING


def test_upload_with_explicit_completion_is_not_complete_with_its_last_byte() -> None:
    assert status(10, 10, explicit_completion=True).state is UploadState.RECEIVING


def test_only_a_complete_regular_upload_is_publishable() -> None:
    assert status(10, 10).is_publishable
    assert not status(10, 9).is_publishable
    assert not status(10, 10, kind=UploadKind.PARTIAL).is_publishable
    concatenating = UploadState.CONCATENATING
    assert not status(0, 0, kind=UploadKind.FINAL, state=concatenating).is_publishable


def test_published_status_has_the_file_and_its_size() -> None:
    published = status(10, 10).publish(FILE)

    assert published.state is UploadState.PUBLISHED
    assert published.file == FILE
    assert published.offset == FILE.size
    assert published.has_ended


def test_incomplete_upload_cannot_be_published() -> None:
    with pytest.raises(InvalidTransition):
        status(10, 9).publish(FILE)


def test_rejected_status_has_the_reason() -> None:
    rejected = status(10, 5).reject("not text")

    assert rejected.state is UploadState.FAILED
    assert rejected.record.failure == "not text"


def test_ended_upload_cannot_expire_again() -> None:
    expired = status(10, 5).expire()

    assert expired.state is UploadState.EXPIRED
    with pytest.raises(InvalidTransition):
        expired.expire()
