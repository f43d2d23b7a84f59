"""Processes that are killed at every line between a request and its answer, by SIGKILL."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.events import EventKind
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound
from fileservice.upload import ANY_VERSION, UploadContext, UploadPolicy, UploadRequest, receive
from tests.events.queues import Queue
from tests.storage.local.killed_at import killed_at

NAME = FileName.parse("a.txt")
OLD, NEW = b"the old bytes\n", b"new\n"
TRACED = ("/fileservice/events/", "/fileservice/upload/publish", "/fileservice/upload/reported")
POLICY = UploadPolicy(filetypes.select(("txt",)), max_size=1 << 20, min_free=0, digest=True)


def context(queue: Queue) -> UploadContext:
    return UploadContext(queue.store, POLICY, InlineExecutor(), events=queue.recorder)


def upload(queue: Queue, data: bytes, *, replaces: tuple[str, ...] | None = None) -> None:
    digests = {"sha-256": hashlib.sha256(data).digest()}
    request = UploadRequest(NAME, len(data), digests=digests, replaces=replaces)
    receive(request, [memoryview(data)], context(queue))


def delete(queue: Queue) -> None:
    file = queue.store.stat(NAME)
    queue.recorder.remove(
        EventKind.DELETED, file, "token:ci", lambda: queue.store.delete(NAME, file.version)
    )


def deliver(queue: Queue) -> list[str]:
    """Return what the receiver learns, without repetitions: kinds of events, and sizes."""
    queue.receiver.sent.clear()
    for _ in range(2):  # events that are found pending are sent the next time
        queue.delivery.run_once()
    queue.delivery.close()
    events = [json.loads(body) for body in queue.receiver.sent]
    known = dict.fromkeys((event["id"], event["type"], event["data"]["size"]) for event in events)
    return [f"{kind.rpartition('.')[2]} {size}" for _, kind, size in known]


def kill_at_every_line(
    path: Path,
    prepare: Callable[[Queue], object],
    act: Callable[[Queue], object],
    check: Callable[[Queue, bool], object],
    step: int,
) -> None:
    """Kill `act` at every `step`-th line, and call `check` with whether it was acknowledged."""
    for line in count(step // 2, step):
        queue = Queue(path / f"{line}")
        prepare(queue)
        deliver(queue)
        acknowledged = path / "acknowledged"
        acknowledged.unlink(missing_ok=True)

        def act_and_acknowledge(queue: Queue = queue, note: Path = acknowledged) -> None:
            act(queue)
            os.close(os.open(note, os.O_CREAT))

        died = killed_at(line, act_and_acknowledge, *TRACED)
        check(queue, acknowledged.exists())
        if not died:
            assert line > step
            return


STEPS = [
    pytest.param(15, id="some"),
    pytest.param(1, id="all", marks=[pytest.mark.thorough, pytest.mark.timeout(900)]),
]


def size_of_file(queue: Queue) -> int | None:
    try:
        return queue.store.stat(NAME).size
    except NotFound:
        return None


@pytest.mark.parametrize("step", STEPS)
def test_upload_is_reported_if_the_file_is_there(tmp_path: Path, step: int) -> None:
    outcomes = set()

    def check(queue: Queue, acknowledged: bool) -> None:
        is_published = size_of_file(queue) is not None
        assert is_published or not acknowledged
        reported = deliver(queue)
        assert reported == ([f"stored {len(NEW)}"] if is_published else [])
        outcomes.add((is_published, acknowledged))

    kill_at_every_line(tmp_path, lambda _queue: None, lambda queue: upload(queue, NEW), check, step)
    assert outcomes == {(False, False), (True, False), (True, True)}


@pytest.mark.thorough
@pytest.mark.parametrize("step", STEPS)
def test_upload_that_is_repeated_and_deleted_is_reported_once(tmp_path: Path, step: int) -> None:
    def check(queue: Queue, _acknowledged: bool) -> None:
        upload(queue, NEW)  # the client, which has got no answer, sends it again
        delete(queue)
        assert deliver(queue) == [f"stored {len(NEW)}", f"deleted {len(NEW)}"]

    kill_at_every_line(tmp_path, lambda _queue: None, lambda queue: upload(queue, NEW), check, step)


@pytest.mark.thorough
@pytest.mark.parametrize("step", STEPS)
def test_upload_that_is_acknowledged_as_repeated_is_reported_even_if_the_file_is_moved(
    tmp_path: Path, step: int
) -> None:
    def check(queue: Queue, _acknowledged: bool) -> None:
        upload(queue, NEW)  # the client, which has got no answer, sends it again
        (queue.root / NAME).unlink()  # and another program takes it away
        assert deliver(queue) == [f"stored {len(NEW)}"]

    kill_at_every_line(tmp_path, lambda _queue: None, lambda queue: upload(queue, NEW), check, step)


def test_upload_that_loses_a_race_for_the_name_leaves_no_event(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "store")

    def blocks() -> Iterator[memoryview]:
        (queue.root / NAME).write_bytes(OLD)  # another program is faster
        yield memoryview(NEW)

    with pytest.raises(NameTaken):
        receive(UploadRequest(NAME, len(NEW)), blocks(), context(queue))
    assert queue.keys() == []


@pytest.mark.thorough
@pytest.mark.parametrize("step", STEPS)
def test_replacement_is_reported_if_the_new_file_is_there(tmp_path: Path, step: int) -> None:
    def check(queue: Queue, acknowledged: bool) -> None:
        is_replaced = size_of_file(queue) == len(NEW)
        assert is_replaced or not acknowledged
        assert deliver(queue) == ([f"stored {len(NEW)}"] if is_replaced else [])

    kill_at_every_line(
        tmp_path,
        lambda queue: upload(queue, OLD),
        lambda queue: upload(queue, NEW, replaces=ANY_VERSION),
        check,
        step,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("step", STEPS)
def test_deletion_is_reported_if_the_file_is_gone(tmp_path: Path, step: int) -> None:
    def check(queue: Queue, acknowledged: bool) -> None:
        is_gone = size_of_file(queue) is None
        assert is_gone or not acknowledged
        assert deliver(queue) == ([f"deleted {len(OLD)}"] if is_gone else [])
        if not is_gone:  # the client, which has got no answer, asks again
            delete(queue)
            assert deliver(queue) == [f"deleted {len(OLD)}"]

    kill_at_every_line(tmp_path, lambda queue: upload(queue, OLD), delete, check, step)
