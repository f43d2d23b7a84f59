"""Resumable uploads: bytes and records survive their writers, and one writer has the lock."""

import time
from contextlib import closing

import pytest

from fileservice.storage import Locked, NoSuchUpload, Store
from tests.storage.contract.files import NAME, content_of, read

UNKNOWN = "0" * 32


class UploadsContract:
    def test_bytes_and_record_survive_their_writer(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", 10)
        writer = store.locker.lock(upload)
        writer.write(b"01234")
        writer.sync()
        writer.update(b"another")
        writer.close()

        stored = another_store.uploads.read(upload)
        assert (stored.record, stored.size) == (b"another", 5)
        assert abs(stored.modified - time.time()) < 60
        assert another_store.uploads.read_record(upload) == b"another"
        assert another_store.uploads.bytes_written(upload) == 5
        with closing(another_store.locker.lock(upload)) as writer:
            writer.write(b"56789")
            assert writer.publish(NAME, content_of(b"0123456789")).size == 10
        assert read(store, NAME) == b"0123456789"

    def test_created_upload_is_listed(self, store: Store, another_store: Store) -> None:
        upload = store.uploads.create(b"record", None)

        assert list(another_store.uploads.list_ids()) == [upload]
        [unfinished] = another_store.uploads.list_unfinished()
        assert unfinished.upload == upload
        assert unfinished.size in (0, None)

    def test_upload_whose_record_is_not_wanted_is_not_read_any_further(self, store: Store) -> None:
        upload = store.uploads.create(b"record", None)
        seen = []

        def is_wanted(record: bytes) -> bool:
            seen.append(record)
            return len(seen) > 1

        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload, is_wanted)
        assert store.uploads.read(upload, is_wanted).record == b"record"
        with pytest.raises(NoSuchUpload):
            store.uploads.read("0" * 32, is_wanted)
        assert seen == [b"record"] * 2

    def test_upload_that_has_ended_keeps_its_record_and_no_bytes(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)
        writer = store.locker.lock(upload)
        writer.write(b"synced")
        writer.sync()
        writer.write(b"not synced")
        writer.end(b"ended")
        writer.sync()
        writer.close()

        stored = another_store.uploads.read(upload)
        assert (stored.record, stored.size) == (b"ended", 0)
        another_store.uploads.remove(upload)
        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload)

    def test_upload_that_ended_at_its_creation_is_stored_once(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create_ended(b"record")
        assert another_store.uploads.create_ended(b"record") == upload
        assert store.uploads.create_ended(b"another") != upload

        stored = another_store.uploads.read(upload)
        assert (stored.record, stored.size) == (b"record", 0)
        assert len(list(store.uploads.list_ids())) == 2
        another_store.uploads.remove(upload)
        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload)

    def test_truncated_bytes_are_replaced_by_those_written_next(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)) as writer:
            writer.write(b"0123xxxx")
            writer.truncate(4)
            assert writer.size == 4
            writer.write(b"45")
            writer.sync()

        with closing(another_store.locker.lock(upload)) as writer:
            assert writer.read_at(10, 0) == b"012345"

    @pytest.mark.parametrize("upload", [UNKNOWN, "", "../" + UNKNOWN, "A" * 32])
    def test_unknown_upload_raises_no_such_upload(self, store: Store, upload: str) -> None:
        for call in (
            store.uploads.read,
            store.uploads.read_record,
            store.uploads.bytes_written,
            store.locker.lock,
        ):
            with pytest.raises(NoSuchUpload):
                call(upload)

    def test_upload_that_was_modified_lately_is_not_removed_as_unreadable(
        self, store: Store
    ) -> None:
        upload = store.uploads.create(b"{", None)

        store.uploads.remove_unreadable(upload, min_idle=3600.0)
        assert store.uploads.read_record(upload) == b"{"
        store.uploads.remove_unreadable(upload, min_idle=-10.0)
        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload)


class LockerContract:
    def test_locked_upload_cannot_be_locked_until_its_writer_is_closed(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)

        with closing(store.locker.lock(upload)):
            for either in (store, another_store):
                with pytest.raises(Locked):
                    either.locker.lock(upload)
        another_store.locker.lock(upload).close()

    def test_upload_that_was_removed_cannot_be_locked(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)
        with closing(store.locker.lock(upload)):
            store.uploads.remove(upload)

        with pytest.raises(NoSuchUpload):
            another_store.locker.lock(upload)

    def test_release_request_reaches_other_processes_until_it_is_cancelled(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)

        store.locker.request_release(upload)
        assert another_store.locker.release_requests() == [upload]
        store.locker.cancel_release_request(upload)
        assert another_store.locker.release_requests() == []
        store.locker.cancel_release_request(upload)  # cancelling it twice is no error

    def test_exclusive_section_can_be_entered_again_after_an_error(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.locker.exclusive():
            raise ZeroDivisionError
        with store.locker.exclusive():
            upload = store.uploads.create(b"record", None)
        assert list(store.uploads.list_ids()) == [upload]
