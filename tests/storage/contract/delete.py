"""Deleting: one caller removes the version that it means, and no other file."""

import threading
from contextlib import suppress

import pytest

from fileservice.storage import NameTaken, NotFound, Store, StoredFile
from tests.storage.contract.files import (
    COMPETITORS,
    NAME,
    compete,
    content_of,
    names,
    publish,
    read,
)


class DeleteContract:
    def test_deleted_file_is_not_found_and_its_name_can_be_published_again(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, NAME, b"old")

        another_store.delete(NAME)

        assert names(store) == []
        with pytest.raises(NotFound):
            store.open(NAME)
        publish(store, NAME, b"new")
        assert read(another_store, NAME) == b"new"

    def test_current_version_is_deleted(self, store: Store) -> None:
        version = publish(store, NAME).version

        store.delete(NAME, version)

        assert names(store) == []

    def test_other_version_is_not_deleted(self, store: Store) -> None:
        old = publish(store, NAME, b"old").version
        store.delete(NAME)
        publish(store, NAME, b"new")

        for version in (old, "", "*"):
            with pytest.raises(NotFound):
                store.delete(NAME, version)

        assert read(store, NAME) == b"new"

    def test_published_file_can_be_deleted_before_its_writer_is_closed(
        self, store: Store, another_store: Store
    ) -> None:
        """Otherwise a thread that deletes could block the one that has to close the writer."""
        writer = store.writer()
        deleting = threading.Thread(target=another_store.delete, args=(NAME,))
        try:
            writer.publish(NAME, content_of(b""))
            deleting.start()
            deleting.join(timeout=60)
            blocked = deleting.is_alive()
        finally:
            writer.close()
            deleting.join()

        assert not blocked
        assert names(store) == []

    @pytest.mark.parametrize("races", [2, pytest.param(10, marks=pytest.mark.thorough)])
    def test_one_of_many_deletions_of_a_file_succeeds(
        self, store: Store, another_store: Store, races: int
    ) -> None:
        for _ in range(races):
            publish(store, NAME)

            results = compete(lambda number: (store, another_store)[number % 2].delete(NAME))

            assert sum(isinstance(result, StoredFile) for result in results) == 1
            assert not store.is_taken(NAME)

    def test_deletion_of_a_version_spares_the_file_that_replaced_it(self, store: Store) -> None:
        """Some threads delete the old file by its version while others publish new ones."""
        version = publish(store, NAME, b"old").version

        def act(number: int) -> object:
            if number < COMPETITORS // 2:
                return store.delete(NAME, version)
            while True:
                try:
                    return publish(store, NAME, b"new %d" % number)
                except NameTaken:
                    with suppress(NotFound):  # deleted meanwhile, so the name is free
                        if store.stat(NAME).version != version:
                            raise

        compete(act)

        assert read(store, NAME).startswith(b"new")
