"""What dead processes left in a bucket, and what of it a sweep removes."""

import pytest

from fileservice.storage import Locked, StorageUnavailable
from fileservice.storage.s3 import sweep
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.layout import LEASES, METADATA, VERIFY, new_id
from fileservice.storage.s3.listing import ListedObject, list_multipart_uploads, list_objects
from fileservice.storage.s3.metadata import MetadataStore, metadata_of
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.conftest import ANY_AGE
from tests.storage.store_contract import NAME, content_of, read
from tests.support.seaweed import SeaweedClient

MIB = 1 << 20


def publish_streamed(store: S3Store, data: bytes) -> None:
    writer = store.writer(stream_to=NAME)
    try:
        writer.write(data)
        writer.publish(NAME, content_of(data))
    finally:
        writer.close()


def test_staged_bytes_are_removed_once_they_are_old(
    store: S3Store, client: S3Client, seaweed: SeaweedClient, prefix: str
) -> None:
    streamed, spooled = store.writer(stream_to=NAME), store.writer()
    for writer in (streamed, spooled):
        writer.write(b"x" * (19 * MIB))
    spooled.read_at(1, 0)  # waits until its pieces are in the bucket

    sweep.sweep(client)
    assert seaweed.unfinished(prefix) == [f"{prefix}/{NAME}"]
    assert any("staging" in key for key in seaweed.keys(prefix))
    sweep.sweep(client, abandoned=ANY_AGE)
    assert seaweed.unfinished(prefix) == []
    assert not any("staging" in key for key in seaweed.keys(prefix))
    for writer in (streamed, spooled):
        writer.close()


def test_metadata_is_removed_unless_its_file_was_published(
    store: S3Store, client: S3Client, another_store: S3Store
) -> None:
    data = b"x" * (9 * MIB)
    publish_streamed(store, data)
    [used] = list_objects(client, METADATA)
    MetadataStore(client).write(new_id(), NAME, metadata_of(content_of(b""), None, None, ""))

    sweep.sweep(client)
    assert len(list_objects(client, METADATA)) == 2
    sweep.sweep(client, abandoned=ANY_AGE)
    assert [listed.key for listed in list_objects(client, METADATA)] == [used.key]
    assert another_store.stat(NAME).content == content_of(data)
    assert read(another_store, NAME) == data


def test_multipart_uploads_of_other_programs_in_folders_are_kept(
    client: S3Client, seaweed: SeaweedClient, prefix: str
) -> None:
    upload_id = client.create_multipart_upload("folder/theirs.bin", "text/plain", {})
    sweep.sweep(client, abandoned=ANY_AGE)
    assert seaweed.unfinished(prefix) == [f"{prefix}/folder/theirs.bin"]
    client.abort_multipart_upload("folder/theirs.bin", upload_id)


def test_lease_of_a_dead_process_is_removed(suspended_store: S3Store, client: S3Client) -> None:
    suspended_store.locker.lock(suspended_store.uploads.create(b"record", None))
    sweep.sweep(client)
    assert len(list_objects(client, LEASES)) == 1
    sweep.sweep(client, abandoned=ANY_AGE)
    assert list_objects(client, LEASES) == []


def test_lease_that_was_just_taken_over_is_kept(
    store: S3Store,
    suspended_store: S3Store,
    succeeding_store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload = suspended_store.uploads.create(b"record", None)
    suspended_store.locker.lock(upload)  # its process dies
    writers = []

    def take_over_after(client: S3Client, under: str) -> list[ListedObject]:
        objects = list_objects(client, under)
        if under == LEASES:
            writers.append(succeeding_store.locker.lock(upload))
        return objects

    monkeypatch.setattr(sweep, "list_objects", take_over_after)
    sweep.sweep(store.client, abandoned=ANY_AGE)
    assert writers
    try:
        with pytest.raises(Locked):
            store.locker.lock(upload)
    finally:
        writers[0].close()


def test_objects_of_a_verification_whose_process_was_killed_are_removed(client: S3Client) -> None:
    client.put_object(VERIFY + new_id(), b"verify")
    client.create_multipart_upload(VERIFY + new_id(), "application/octet-stream", {})
    sweep.sweep(client)
    assert len(list_objects(client, VERIFY)) == 1
    sweep.sweep(client, abandoned=ANY_AGE)
    assert list_objects(client, "") == []
    assert list(list_multipart_uploads(client)) == []


def test_sweep_goes_on_after_an_error_and_logs_it(
    client: S3Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: S3Client) -> None:
        raise StorageUnavailable("it does not answer")

    client.put_object(VERIFY + new_id(), b"verify")
    monkeypatch.setattr(sweep, "list_multipart_uploads", fail)
    sweep.sweep(client, abandoned=ANY_AGE)
    assert list_objects(client, VERIFY) == []
    assert "it does not answer" in caplog.text
