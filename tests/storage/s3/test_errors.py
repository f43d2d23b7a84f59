"""A store that refuses, resets, falls silent or is away: retried for a while, and then told."""

import io
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from botocore.response import StreamingBody

from fileservice.storage import NotFound, StorageUnavailable, Store, open_store
from fileservice.storage.s3 import bucket, calls
from tests.storage.store_contract import NAME, content_of, publish, read
from tests.support.faulty_proxy import FaultyProxy
from tests.support.seaweed import Seaweed

DATA = secrets.token_bytes(1 << 20) * 20
HASTE = 3
"""Seconds after which a call to a silent store is given up here."""


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[FaultyProxy]:
    with FaultyProxy(seaweed.port) as proxy:
        yield proxy


@pytest.fixture
def store(
    seaweed: Seaweed, proxy: FaultyProxy, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Store:
    hasty = calls._CONFIG.merge(Config(read_timeout=HASTE - 1, connect_timeout=1))
    monkeypatch.setattr(calls, "_CONFIG", hasty)
    return open_store(seaweed.url(prefix, proxy.port), fsync=True)


def write(store: Store) -> None:
    writer = store.writer(len(DATA), stream_to=NAME)
    try:
        for offset in range(0, len(DATA), 1 << 20):
            writer.write(DATA[offset : offset + (1 << 20)])
        writer.publish(NAME, content_of(DATA))
    finally:
        writer.close()


def test_parts_that_are_cut_off_are_sent_again(
    store: Store, proxy: FaultyProxy, seaweed: Seaweed, prefix: str
) -> None:
    proxy.resets, proxy.reset_after = 3, 1 << 20
    write(store)
    assert proxy.resets == 0
    assert read(store, NAME) == DATA
    assert seaweed.unfinished(prefix) == []


def test_reading_goes_on_where_it_was_cut_off(store: Store, proxy: FaultyProxy) -> None:
    write(store)
    for whole in (True, False):
        proxy.resets, proxy.reset_after = 3, 3 << 20
        opened = store.open(NAME, sequential=whole)
        read_back = bytearray()
        with opened.body as body:
            while block := body.read(1 << 18):
                read_back += block
        assert read_back == DATA
        assert proxy.resets == 0


@pytest.mark.parametrize("mode", ["refuse", "silence"])
def test_a_store_that_stays_away_is_told_of_in_time(
    store: Store, proxy: FaultyProxy, seaweed: Seaweed, prefix: str, mode
) -> None:
    publish(store, "b.txt")
    proxy.become(mode)

    def seconds_until_told(ask: Callable[[], object]) -> float:
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            ask()
        return time.monotonic() - began

    last_attempt = 2 * HASTE  # a little after the patience is over, on a busy machine
    with ThreadPoolExecutor(3) as together:
        stat = together.submit(seconds_until_told, lambda: store.stat(NAME))
        check = together.submit(seconds_until_told, store.check)
        stored = together.submit(seconds_until_told, lambda: publish(store, NAME))
        assert stat.result() < calls.RETRY_SECONDS + last_attempt
        assert check.result() < calls.RETRY_SECONDS + last_attempt
        assert stored.result() < calls.RETRY_SECONDS_WITH_BODY + last_attempt
    proxy.cut()
    proxy.become("pass")
    with pytest.raises(NotFound):
        store.stat(NAME)
    publish(store, NAME, b"now")
    assert read(store, NAME) == b"now"


def test_a_large_file_survives_a_short_absence(store: Store, proxy: FaultyProxy) -> None:
    writer = store.writer(len(DATA), stream_to=NAME)
    back = threading.Timer(1.0, proxy.become, ["pass"])
    try:
        writer.write(DATA[: 9 << 20])
        proxy.become("refuse")
        back.start()
        writer.write(DATA[9 << 20 :])
        writer.publish(NAME, content_of(DATA))
    finally:
        back.join()
        writer.close()
    assert read(store, NAME) == DATA


def test_a_record_is_read_again_when_it_breaks_off(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    broken = [StreamingBody(io.BytesIO(b""), 6)]  # it ends before its length
    get = bucket.Bucket.get

    def sometimes(self: bucket.Bucket, *arguments, **keywords) -> tuple:
        head, body = get(self, *arguments, **keywords)
        if broken:
            body.close()
            body = broken.pop()
        return head, body

    monkeypatch.setattr(bucket.Bucket, "get", sometimes)
    assert store.uploads.read(upload).record == b"record"
    assert not broken


@pytest.mark.parametrize("taken_again", [True, False])
def test_a_deletion_whose_answer_was_lost_is_done_and_removes_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch, taken_again: bool
) -> None:
    first = publish(store, NAME, b"first")
    client = store._bucket._client  # type: ignore[attr-defined]
    delete = client.delete_object

    def lost(**arguments: object) -> None:
        monkeypatch.setattr(client, "delete_object", delete)
        delete(**arguments)
        if taken_again:
            publish(store, NAME, b"second")
        raise ConnectionClosedError(endpoint_url="")

    monkeypatch.setattr(client, "delete_object", lost)
    store.delete(NAME, first.version)
    if taken_again:
        assert read(store, NAME) == b"second"
    else:
        with pytest.raises(NotFound):
            store.stat(NAME)
    with pytest.raises(NotFound):
        store.delete(NAME, first.version)


def test_an_answer_that_was_lost_is_no_name_taken(
    store: Store, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is repeated, and then refused because it had succeeded."""
    put = bucket.Bucket.put

    def twice(self: bucket.Bucket, key: str, data: bytes, **keywords) -> str:
        put(self, key, data, **keywords)
        return put(self, key, data, **keywords)

    monkeypatch.setattr(bucket.Bucket, "put", twice)
    file = publish(store, NAME, b"once")
    assert (file.size, read(store, NAME)) == (4, b"once")
    store.delete(NAME)

    end = bucket.Bucket.complete_multipart_upload

    def ended_twice(self: bucket.Bucket, *arguments, **keywords) -> None:
        end(self, *arguments, **keywords)
        end(self, *arguments, **keywords)

    monkeypatch.setattr(bucket.Bucket, "put", put)
    monkeypatch.setattr(bucket.Bucket, "complete_multipart_upload", ended_twice)
    write(store)
    assert read(store, NAME) == DATA
