"""Files that do not fit into one part, and what becomes of them when they are published."""

import hashlib
import itertools
import os
import secrets
import tracemalloc
from dataclasses import replace

import pytest

from fileservice.names import FileName
from fileservice.storage import NameTaken, StorageUnavailable, Store, StoredFile, Writer
from fileservice.storage.s3 import writer as writer_module
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.parts import part_size
from fileservice.storage.s3.store import S3Store
from fileservice.storage.s3.writer import StreamingWriter
from tests.storage.store_contract import (
    COMPETITORS,
    NAME,
    compete,
    content_of,
    names,
    publish,
    read,
)
from tests.support.seaweed import SeaweedClient

MIB = 1 << 20
DATA = secrets.token_bytes(MIB) * 19 + b"end"


def write_data(store: Store, *, stream_to: FileName | None) -> Writer:
    writer = store.writer(len(DATA), stream_to=stream_to)
    for offset in range(0, len(DATA), 3 * MIB):
        writer.write(DATA[offset : offset + 3 * MIB])
    return writer


@pytest.mark.parametrize("stream_to", [NAME, None], ids=["streamed", "spooled"])
class TestLargeFile:
    def test_is_invisible_until_it_is_published_completely(
        self,
        store: S3Store,
        another_store: S3Store,
        seaweed: SeaweedClient,
        prefix: str,
        stream_to: FileName | None,
    ) -> None:
        writer = write_data(store, stream_to=stream_to)
        try:
            assert names(another_store) == []
            assert not another_store.is_taken(NAME)
            published = writer.publish(NAME, content_of(DATA, "text/plain", "utf-8"))
        finally:
            writer.close()

        assert published.content == content_of(DATA, "text/plain", "utf-8")
        assert published.version == hashlib.sha256(DATA).hexdigest()
        assert another_store.stat(NAME) == published
        assert read(another_store, NAME) == DATA
        folders = {key.split("/")[1] for key in seaweed.keys(prefix) if key.startswith(".")}
        assert folders == ({"metadata"} if stream_to else set())
        another_store.delete(NAME)
        assert seaweed.keys(prefix) == []

    def test_leaves_nothing_when_it_is_not_published(
        self, store: S3Store, seaweed: SeaweedClient, prefix: str, stream_to: FileName | None
    ) -> None:
        write_data(store, stream_to=stream_to).close()

        assert seaweed.keys(prefix) == []
        assert seaweed.unfinished(prefix) == []

    def test_one_of_many_that_race_for_a_name_wins(
        self,
        store: S3Store,
        another_store: S3Store,
        seaweed: SeaweedClient,
        prefix: str,
        stream_to: FileName | None,
    ) -> None:
        """SeaweedFS lets two completions succeed if both ask for a free name (decision 9)."""
        stores = itertools.cycle([store, another_store])
        data = [bytes([65 + number]) * (9 * MIB) for number in range(COMPETITORS - 2)]
        data += [b"small 1", b"small 2"]
        writers = [next(stores).writer(stream_to=stream_to) for _ in data]
        try:
            for writer, block in zip(writers, data, strict=True):
                writer.write(block[:100])
                writer.write(block[100:])
            results = compete(lambda n: writers[n].publish(NAME, content_of(data[n])))
        finally:
            for writer in writers:
                writer.close()

        [winner] = [n for n, result in enumerate(results) if isinstance(result, StoredFile)]
        assert sum(isinstance(result, NameTaken) for result in results) == COMPETITORS - 1
        assert read(store, NAME) == data[winner]
        assert store.stat(NAME) == results[winner]
        metadata = [k for k in seaweed.keys(prefix) if k.startswith(".fileservice/metadata/")]
        assert len(metadata) == (1 if stream_to and winner < len(data) - 2 else 0)
        assert seaweed.unfinished(prefix) == []

    def test_of_exactly_one_part_is_published(
        self, store: S3Store, stream_to: FileName | None
    ) -> None:
        data = secrets.token_bytes(8 * MIB)
        writer = store.writer(stream_to=stream_to)
        try:
            writer.write(data[:7])
            writer.write(data[7:])
            assert writer.publish(NAME, content_of(data)).size == len(data)
        finally:
            writer.close()
        assert read(store, NAME) == data


def test_spooled_file_can_be_read_at_any_offset_before_it_is_published(store: S3Store) -> None:
    writer = write_data(store, stream_to=None)
    try:
        for offset in (0, 8 * MIB - 5, 16 * MIB - 5, len(DATA) - 5, 12_345_678):
            assert writer.read_at(10, offset) == DATA[offset : offset + 10]
        with writer.descriptor() as descriptor:
            assert os.pread(descriptor, 1 << 25, 0) == DATA
    finally:
        writer.close()


def test_streamed_file_cannot_be_read_back_once_it_was_sent(store: S3Store) -> None:
    writer = write_data(store, stream_to=NAME)
    try:
        with pytest.raises(ValueError, match="cannot be read back"):
            writer.read_at(10, 0)
        with pytest.raises(ValueError, match="cannot be read back"), writer.descriptor():
            pass
    finally:
        writer.close()


@pytest.mark.parametrize("size", [4, 9 * MIB])
def test_file_is_published_though_the_bucket_cannot_describe_it(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def fail(*_: object) -> object:
        raise StorageUnavailable("it does not answer")

    writer = store.writer(stream_to=NAME)
    try:
        writer.write(b"x" * size)
        writer.write(b"x" * size)
        with monkeypatch.context() as patch:
            patch.setattr(S3Client, "head_object", fail)
            file = writer.publish(NAME, content_of(b""))
    finally:
        writer.close()
    stored = another_store.stat(NAME)
    assert abs(stored.modified - file.modified) <= 60
    assert replace(file, modified_ns=stored.modified_ns) == stored


@pytest.mark.parametrize("replaced", [False, True])
def test_file_that_is_removed_before_it_is_described_counts_as_published(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    head_object = S3Client.head_object
    removed = []

    def remove_first(self: S3Client, key: str) -> object:
        if self is store.client:
            another_store.delete(FileName.parse(key))
            if replaced:
                publish(another_store, key, b"another file")
            removed.append(key)
        return head_object(self, key)

    monkeypatch.setattr(S3Client, "head_object", remove_first)
    assert publish(store, NAME, b"mine").size == 4
    assert removed == [NAME]


def test_file_that_is_deleted_while_its_upload_is_published_again_counts_as_published(
    store: S3Store, another_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = store.uploads.create(b"record", None)
    writer = store.locker.lock(upload)
    data = secrets.token_bytes(9 * MIB)
    writer.write(data)
    first = writer.publish(NAME, content_of(data))
    head_object, heads = S3Client.head_object, []

    def delete_after_the_second(self: S3Client, key: str) -> object:
        head = head_object(self, key)
        if self is store.client:
            heads.append(head)
            if len(heads) == 2:  # the first is made before anything is copied
                another_store.delete(NAME)
        return head

    monkeypatch.setattr(S3Client, "head_object", delete_after_the_second)
    try:
        assert writer.publish(NAME, content_of(data)) == first
    finally:
        writer.close()
    assert len(heads) == 2


def test_writer_that_cannot_abort_its_multipart_upload_closes_without_an_error(
    store: S3Store, seaweed: SeaweedClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("it does not answer")

    writer = store.writer(stream_to=NAME)
    writer.write(b"x" * (9 * MIB))
    with monkeypatch.context() as patch:
        patch.setattr(S3Client, "abort_multipart_upload", fail)
        writer.close()
    assert seaweed.unfinished(prefix) == [f"{prefix}/{NAME}"]


def test_metadata_that_was_removed_leaves_the_file_readable(
    store: S3Store, another_store: S3Store, client: S3Client, seaweed: SeaweedClient, prefix: str
) -> None:
    writer = write_data(store, stream_to=NAME)
    writer.publish(NAME, content_of(DATA))
    writer.close()
    [key] = [key for key in seaweed.keys(prefix) if key.startswith(".fileservice/metadata/")]
    client.delete_object(key)
    with pytest.raises(ObjectMissing):
        client.head_object(key)

    assert another_store.stat(NAME).content.sha256 is None
    assert read(another_store, NAME) == DATA


def test_memory_does_not_grow_with_a_file_of_unknown_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parts of such a file grow, and a buffer of an earlier size must not be kept."""

    class Bucket:
        def create_multipart_upload(self, *_: object) -> str:
            return "upload"

        def upload_part(self, *_: object) -> str:
            return "etag"

    sizes = itertools.count(8 * MIB, MIB)
    monkeypatch.setattr(writer_module, "part_size", lambda *_: next(sizes))
    writer = StreamingWriter(Bucket(), None, None, None, NAME)  # type: ignore[arg-type]
    block = bytes(16 * MIB)
    tracemalloc.start()
    try:
        while next(sizes) < 64 * MIB:
            writer.write(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        monkeypatch.undo()
    assert 32 * MIB < peak < 5 * 64 * MIB


def test_parts_grow_so_that_the_largest_object_fits() -> None:
    for length in (None, 5 << 40):
        offset = count = 0
        while offset < 5 << 40:
            size = part_size(offset, length)
            assert size <= 5 << 30
            offset += size
            count += 1
        assert count <= 10_000
    assert part_size(0, 80 << 30) == 9 * MIB
    assert part_size(0, 1 << 30) == part_size(1 << 30, None) == 8 * MIB
