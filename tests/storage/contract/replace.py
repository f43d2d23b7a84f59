"""Replacing: a file takes the place of the version that is meant, and of no other file."""

import threading

import pytest

from fileservice.storage import Content, NotFound, Owner, Store, StoredFile, VersionChanged
from tests.storage.contract.files import (
    COMPETITORS,
    NAME,
    compete,
    content_of,
    names,
    publish,
    read,
    replace,
)

LARGE = 9 << 20
"""Bytes of a file that a bucket gets in several parts."""


def bytes_of(number: int, size: int) -> bytes:
    """Return bytes that no other number has, of this size."""
    return (b"%08d" % number * (size // 8 + 1))[:size]


class ReplaceContract:
    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_new_bytes_and_their_description_take_the_place_of_the_old_ones(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        old = publish(store, NAME, bytes_of(1, size))

        replaced = replace(another_store, NAME, bytes_of(2, size), old.version, Owner("token:b"))

        assert replaced == old
        assert read(store, NAME) == bytes_of(2, size)
        new = store.stat(NAME)
        assert (new.content, new.owner) == (content_of(bytes_of(2, size)), Owner("token:b"))
        assert new.version != old.version
        assert names(store) == [NAME]
        store.delete(NAME, new.version)
        assert names(another_store) == []

    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_another_version_is_not_replaced(self, store: Store, size: int) -> None:
        old = publish(store, NAME, b"old").version
        store.delete(NAME)
        publish(store, NAME, b"new")

        for version in (old, "", "*"):
            with pytest.raises(VersionChanged):
                replace(store, NAME, bytes_of(1, size), version)

        assert read(store, NAME) == b"new"

    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_where_there_is_no_file_nothing_is_published(self, store: Store, size: int) -> None:
        version = publish(store, NAME, b"old").version
        store.delete(NAME)

        with pytest.raises(NotFound):
            replace(store, NAME, bytes_of(1, size), version)

        assert names(store) == []

    def test_file_without_a_digest_is_replaced_by_its_version(self, store: Store) -> None:
        first = publish(store, NAME, b"first", Content("text/plain"))
        replace(store, NAME, b"second", first.version)
        with pytest.raises(VersionChanged):
            replace(store, NAME, b"third", first.version)
        assert read(store, NAME) == b"second"

    def test_file_can_be_replaced_by_one_with_the_same_bytes(self, store: Store) -> None:
        old = publish(store, NAME, b"same")
        replaced = replace(store, NAME, b"same", old.version, Owner("token:b"))
        assert replaced == old
        assert store.stat(NAME).owner == Owner("token:b")

    @pytest.mark.parametrize("size", [1000, pytest.param(LARGE, marks=pytest.mark.thorough)])
    def test_one_of_many_replacements_of_a_version_succeeds(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        version = publish(store, NAME, b"old").version
        for first in (10, 20, 30):  # equal bytes would be an equal version

            def act(number: int, first: int = first, version: str = version) -> object:
                process = (store, another_store)[number % 2]
                return replace(process, NAME, bytes_of(first + number, size), version)

            results = compete(act)

            [winner] = [n for n, result in enumerate(results) if isinstance(result, StoredFile)]
            assert sum(isinstance(r, VersionChanged) for r in results) == COMPETITORS - 1
            assert read(another_store, NAME) == bytes_of(first + winner, size)
            version = store.stat(NAME).version

    @pytest.mark.parametrize("size", [1000, pytest.param(LARGE, marks=pytest.mark.thorough)])
    def test_of_replacements_and_deletions_of_a_version_one_succeeds(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        for _ in range(3):
            version = publish(store, NAME, b"old").version

            def act(number: int, version: str = version) -> object:
                if number % 2:
                    return store.delete(NAME, version)
                return replace(another_store, NAME, bytes_of(number, size), version)

            results = compete(act)

            [winner] = [n for n, result in enumerate(results) if isinstance(result, StoredFile)]
            assert names(store) == ([] if winner % 2 else [NAME])
            if names(store):
                assert read(store, NAME) == bytes_of(winner, size)
                store.delete(NAME)

    @pytest.mark.parametrize("size", [100_000, LARGE])
    def test_reader_under_way_reads_the_old_bytes_to_their_end(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        old = publish(store, NAME, bytes_of(1, size))
        opened = store.open(NAME, sequential=True)
        with opened.body as body:
            start = body.read(10)

            replace(another_store, NAME, bytes_of(2, size), old.version)

            rest = start
            while block := body.read(1 << 20):
                rest += block
        assert opened.file == old
        assert rest == bytes_of(1, size)

    def test_everybody_sees_one_of_the_two_files_whole_and_lists_it_once(
        self, store: Store, another_store: Store
    ) -> None:
        others = ["0.txt", "b.txt"]
        for name in others:
            publish(store, name)
        version = publish(store, NAME, bytes_of(0, 1000)).version
        done = threading.Event()
        wrong: list[object] = []

        def look() -> None:
            while not done.is_set():
                listed = names(another_store)
                if listed != ["0.txt", NAME, "b.txt"]:
                    wrong.append(listed)
                with another_store.open(NAME, sequential=True).body as body:
                    data = body.read()
                if data != bytes_of(int(data[:8]), 1000):
                    wrong.append(data)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for number in range(1, 30):
                replace(store, NAME, bytes_of(number, 1000), version)
                version = store.stat(NAME).version
        finally:
            done.set()
            looking.join()
        assert wrong == []

    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_upload_that_was_published_before_its_process_died_is_published_once(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        version = publish(store, NAME, b"old").version
        upload = store.uploads.create(b"record", size)
        data = bytes_of(1, size)
        writer = store.locker.lock(upload)
        writer.write(data)
        writer.sync()
        first = writer.publish(NAME, content_of(data), replaces=version)
        assert writer.replaced
        writer.close()  # and the record still says that the upload has not ended

        writer = another_store.locker.lock(upload)
        again = writer.publish(NAME, content_of(data), replaces="")
        assert (writer.replaced, again.version) == (None, first.version)
        writer.end(b"ended")
        writer.close()

        assert read(store, NAME) == data
