"""The queue: another process may read it at any time, and removes what it cannot read."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from fileservice.events import EventKind, EventQueue
from fileservice.names import FileName
from fileservice.storage import StoredFile
from fileservice.storage.local import LocalStore
from tests.events.queues import Queue

TRACED = (
    "/fileservice/events/recorder",
    "/fileservice/events/queue",
    "/fileservice/storage/local/",
)


def read_at_every_line(queue: Queue, act: Callable[[], object]) -> list[bool]:
    """Run `act`; return of each event that another process finds meanwhile if it can be read."""
    other = EventQueue(LocalStore(queue.root, fsync=False).private_files)
    found = []

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in TRACED):
            return None
        if event == "line":
            found.extend(other.read(queued.key) is not None for queued in other.list()[0])
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return found


def test_use_of_a_link_is_found_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store")
    file = queue.publish("a.txt", "")
    assert set(read_at_every_line(queue, lambda: queue.recorder.link_used("abc", file))) == {True}
    queue.delivery.run_once()
    assert ["link.used" in body for body in queue.receiver.sent] == [True]


def test_removal_that_somebody_has_withdrawn_is_found_as_a_whole_or_not_at_all(
    tmp_path: Path,
) -> None:
    queue = Queue(tmp_path / "store")
    file = queue.publish("a.txt", "")

    def remove() -> StoredFile:
        removed = queue.store.delete(FileName.parse("a.txt"), file.version)
        pending = queue.keys()
        for key in pending:  # another process has tried the same, and was too late
            queue.store.private_files.remove(f"events/{key}")
        return removed

    def act() -> None:
        queue.recorder.remove(EventKind.DELETED, file, "token:ci", remove)

    assert set(read_at_every_line(queue, act)) == {True}
    queue.delivery.run_once()
    assert ["file.deleted" in body for body in queue.receiver.sent] == [True]
