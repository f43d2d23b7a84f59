"""A process that dies after any request of an upload that is reported to a receiver."""

import hashlib
import json

import pytest

from fileservice.events import EventDelivery, EventKind, EventQueue, EventRecorder
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import Content, NotFound
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.store import S3Store
from tests.events.queues import AT_ONCE, KnownReceiver
from tests.storage.s3.conftest import OpenStore
from tests.storage.s3.test_dying_updates import Died, DyingClient

TEXT = b"some text\n"
CONTENT = Content("text/plain", None, hashlib.sha256(TEXT).digest())


def recorder(store: S3Store) -> EventRecorder:
    return EventRecorder(EventQueue(store.private_files), "fileservice")


def upload(store: S3Store, name: FileName) -> None:
    event = recorder(store).begin_storing(name, len(TEXT), CONTENT, "token:ci", None)
    writer = store.writer(len(TEXT), stream_to=name)
    try:
        writer.write(TEXT)
        writer.publish(name, CONTENT, event=event.id)
    finally:
        writer.close()
    event.complete()


def deliver(store: S3Store) -> list[str]:
    """Return what the receiver learns, without repetitions."""
    receiver = KnownReceiver()
    delivery = EventDelivery(
        EventQueue(store.private_files), store, receiver, InlineExecutor(), AT_ONCE
    )
    for _ in range(2):
        assert delivery.run_once()
    delivery.close()
    events = [json.loads(body) for body in receiver.sent]
    known = dict.fromkeys((event["id"], event["type"]) for event in events)
    return [kind.rpartition(".")[2] for _, kind in known]


def test_event_is_reported_if_the_object_is_there(
    store: S3Store, another_store: S3Store, client: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for requests in range(1, 100):
        name = FileName.parse(f"{requests}.txt")
        with monkeypatch.context() as patch:
            DyingClient(patch, client, requests)
            try:
                upload(store, name)
                died = False
            except Died:
                died = True
        try:
            is_published = bool(another_store.stat(name))
        except NotFound:
            is_published = False
        assert deliver(another_store) == (["stored"] if is_published else [])
        outcomes.append(is_published)
        if not died:
            break
    assert outcomes == sorted(outcomes)
    assert False in outcomes
    assert True in outcomes


def test_file_is_reported_before_it_is_removed(store: S3Store, another_store: S3Store) -> None:
    name = FileName.parse("a.txt")
    event = recorder(store).begin_storing(name, len(TEXT), CONTENT, "token:ci", None)
    writer = store.writer(len(TEXT), stream_to=name)
    writer.write(TEXT)
    writer.publish(name, CONTENT, event=event.id)
    writer.close()  # and the process dies
    file = another_store.stat(name)
    recorder(another_store).remove(
        EventKind.DELETED, file, "", lambda: another_store.delete(name, file.version)
    )
    assert deliver(store) == ["stored", "deleted"]


def test_lock_of_a_key_is_taken_over_when_it_is_too_old(
    store: S3Store, another_store: S3Store, open_s3: OpenStore
) -> None:
    held = store.private_files.try_lock("event-delivery")
    assert held
    assert another_store.private_files.try_lock("event-delivery") is None
    successor = open_s3(private_lease=-1.0)
    taken = successor.private_files.try_lock("event-delivery")
    assert taken
    impatient = open_s3(private_lease=-1.0).private_files.try_lock("event-delivery")
    assert impatient
    assert not taken.keep()  # it asks the bucket, as its own time limit is over
