"""Removals that fail, or whose process dies: what is reported of them, and in which order."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fileservice.events import EventKind
from fileservice.storage import StorageUnavailable, StoredFile
from tests.events.queues import AT_ONCE, Queue
from tests.events.test_kills import NAME, NEW, OLD, delete, deliver, upload
from tests.storage.contract.files import content_of

STORED_OLD, STORED_NEW = f"stored {len(OLD)}", f"stored {len(NEW)}"
DELETED_OLD, DELETED_NEW = f"deleted {len(OLD)}", f"deleted {len(NEW)}"


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """The queue after an upload."""
    queue = Queue(tmp_path / "store")
    upload(queue, OLD)
    return queue


def delete_with_failure(queue: Queue, *, is_removed: bool) -> None:
    """Try to delete the file; the store fails before or after it is removed."""
    file = queue.store.stat(NAME)

    def remove() -> StoredFile:
        if is_removed:
            queue.store.delete(NAME, file.version)
        raise StorageUnavailable("the storage does not work at present")

    with pytest.raises(StorageUnavailable):
        queue.recorder.remove(EventKind.DELETED, file, "token:ci", remove)


def replace_and_die(queue: Queue) -> None:
    """Replace the file by a process that dies right afterwards."""
    file = queue.store.stat(NAME)
    content = content_of(NEW)
    event = queue.recorder.begin_storing(NAME, len(NEW), content, "", None, replaces=file)
    writer = queue.store.writer(len(NEW))
    writer.write(NEW)
    writer.publish(NAME, content, replaces=file.version, event=event.id)
    writer.close()


def test_removal_that_failed_is_not_reported_if_the_file_is_replaced(queue: Queue) -> None:
    delete_with_failure(queue, is_removed=False)
    upload(queue, NEW, replaces=(queue.store.stat(NAME).version,))
    assert deliver(queue) == [STORED_OLD, STORED_NEW]
    assert queue.keys() == []


@pytest.mark.parametrize(
    ("then", "reported"),
    [
        pytest.param(deliver, [], id="delivered"),
        pytest.param(delete, [DELETED_NEW], id="deleted"),
        pytest.param(lambda queue: upload(queue, NEW), [], id="repeated"),
    ],
)
def test_removal_that_failed_is_not_reported_if_the_process_that_replaces_the_file_dies(
    queue: Queue, then: Callable[[Queue], object], reported: list[str]
) -> None:
    delete_with_failure(queue, is_removed=False)
    replace_and_die(queue)
    sent = deliver(queue) if then is deliver else then(queue)
    assert [*(sent or []), *deliver(queue)] == [STORED_OLD, STORED_NEW, *reported]
    assert queue.keys() == []


def test_removal_is_reported_before_the_next_file_of_the_name(queue: Queue) -> None:
    delete_with_failure(queue, is_removed=True)
    upload(queue, NEW)
    assert deliver(queue) == [STORED_OLD, DELETED_OLD, STORED_NEW]


def test_removal_is_reported_before_all_that_happens_to_later_files(queue: Queue) -> None:
    delete_with_failure(queue, is_removed=True)
    upload(queue, NEW)
    upload(queue, OLD, replaces=(queue.store.stat(NAME).version,))
    delete(queue)
    assert deliver(queue) == [STORED_OLD, DELETED_OLD, STORED_NEW, STORED_OLD, DELETED_OLD]


def test_events_of_a_file_wait_while_its_removal_may_be_under_way(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store", replace(AT_ONCE, pending=3600.0))
    upload(queue, OLD)
    assert deliver(queue) == [STORED_OLD]
    delete_with_failure(queue, is_removed=True)
    upload(queue, NEW)
    queue.put("b.txt")
    assert deliver(queue) == ["stored 4"]  # that of the other file
    queue.limits = AT_ONCE
    queue.delivery = queue.new_delivery()
    assert deliver(queue) == [DELETED_OLD, STORED_NEW]


def test_events_of_a_file_do_not_wait_for_a_removal_that_has_failed(queue: Queue) -> None:
    delete_with_failure(queue, is_removed=False)
    assert deliver(queue) == [STORED_OLD]
    queue.recorder.link_used("abc", queue.store.stat(NAME))
    assert deliver(queue) == [f"used {len(OLD)}"]
    delete(queue)
    assert deliver(queue) == [DELETED_OLD]
