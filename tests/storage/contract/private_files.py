"""Small files of the service itself."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fileservice.storage import Store
from tests.storage.contract.files import COMPETITORS, compete, names


def replace_by(content: bytes | None) -> Callable[[bytes | None], bytes | None]:
    return lambda _content: content


def add_one(content: bytes | None) -> bytes:
    return b"%d" % (int(content or b"0") + 1)


class PrivateFilesContract:
    def test_private_file_is_read_by_another_process(
        self, store: Store, another_store: Store
    ) -> None:
        assert store.private_files.read("some-key") is None
        assert store.private_files.create("some-key", b"content") == b"content"
        assert another_store.private_files.read("some-key") == b"content"

    def test_private_file_that_exists_is_not_replaced(
        self, store: Store, another_store: Store
    ) -> None:
        store.private_files.create("some-key", b"first")
        assert another_store.private_files.create("some-key", b"second") == b"first"
        assert store.private_files.read("some-key") == b"first"

    def test_all_that_create_a_private_file_at_once_get_the_same_content(
        self, store: Store, another_store: Store
    ) -> None:
        stores = (store, another_store)
        results = compete(
            lambda number: stores[number % 2].private_files.create("some-key", b"%d" % number)
        )
        assert set(results) == {store.private_files.read("some-key")}

    def test_private_files_of_a_folder_are_listed_and_removed(
        self, store: Store, another_store: Store
    ) -> None:
        files = store.private_files
        assert files.list("folder") == []
        files.create("folder/one", b"")
        files.create("folder/two", b"")
        files.create("other/three", b"")
        assert sorted(another_store.private_files.list("folder")) == ["one", "two"]
        another_store.private_files.remove("folder/one")
        another_store.private_files.remove("folder/one")
        assert files.list("folder") == ["two"]

    def test_many_private_files_are_read_as_far_as_they_exist(
        self, store: Store, another_store: Store
    ) -> None:
        contents = {f"folder/{number}": b"%d" % number for number in range(20)}
        for key, content in contents.items():
            store.private_files.create(key, content)
        asked = ["folder/missing", *contents, "missing"]
        assert dict(another_store.private_files.read_all(asked)) == contents
        assert list(store.private_files.read_all([])) == []

    def test_private_file_exists_from_its_creation_to_its_removal(
        self, store: Store, another_store: Store
    ) -> None:
        files, others = store.private_files, another_store.private_files
        assert not files.exists("folder/one", max_age=3600)
        files.create("folder/one", b"")
        assert files.exists("folder/one", max_age=3600)  # what a process does itself, it knows
        assert others.exists("folder/one")
        assert not others.exists("folder/two")
        others.remove("folder/one")
        assert not files.exists("folder/one")

    def test_private_file_is_created_and_replaced_by_an_update(
        self, store: Store, another_store: Store
    ) -> None:
        store.private_files.update("folder/one", add_one)
        another_store.private_files.update("folder/one", add_one)
        assert store.private_files.read("folder/one") == b"2"
        assert store.private_files.list("folder") == ["one"]
        assert store.private_files.exists("folder/one")

    def test_updated_private_file_may_grow_shrink_and_be_empty(
        self, store: Store, another_store: Store
    ) -> None:
        for content in (b"x" * 10, b"x" * 200_000, b"", b"y"):
            store.private_files.update("some-key", replace_by(content))
            assert another_store.private_files.read("some-key") == content

    def test_update_that_returns_none_or_raises_changes_nothing(
        self, store: Store, another_store: Store
    ) -> None:
        def fail(_content: bytes | None) -> bytes:
            raise ZeroDivisionError

        files = store.private_files
        files.update("folder/missing", replace_by(None))
        with pytest.raises(ZeroDivisionError):
            files.update("folder/missing", fail)
        assert files.list("folder") == []
        files.create("folder/one", b"content")
        files.update("folder/one", replace_by(None))
        with pytest.raises(ZeroDivisionError):
            files.update("folder/one", fail)
        assert another_store.private_files.read("folder/one") == b"content"

    def test_update_of_a_removed_private_file_begins_with_nothing(
        self, store: Store, another_store: Store
    ) -> None:
        store.private_files.update("some-key", replace_by(b"7"))
        another_store.private_files.remove("some-key")
        store.private_files.update("some-key", add_one)
        assert another_store.private_files.read("some-key") == b"1"

    def test_no_update_of_many_processes_is_lost(self, store: Store, another_store: Store) -> None:
        rounds = 10
        start = threading.Barrier(COMPETITORS)

        def run(number: int) -> None:
            start.wait()
            for _ in range(rounds):
                (store, another_store)[number % 2].private_files.update("some-key", add_one)

        with ThreadPoolExecutor(COMPETITORS) as threads:
            list(threads.map(run, range(COMPETITORS)))

        assert store.private_files.read("some-key") == b"%d" % (COMPETITORS * rounds)

    def test_private_files_are_not_listed_with_the_files_of_clients(self, store: Store) -> None:
        store.private_files.create("some-key", b"content")
        store.private_files.create("folder/one", b"")
        assert names(store) == []

    def test_private_files_that_are_added_at_once_are_all_there(
        self, store: Store, another_store: Store
    ) -> None:
        stores = (store, another_store)
        compete(
            lambda number: stores[number % 2].private_files.add(f"folder/{number}", b"%d" % number)
        )
        keys = [f"folder/{number}" for number in range(COMPETITORS)]
        assert dict(store.private_files.read_all(keys)) == {
            f"folder/{number}": b"%d" % number for number in range(COMPETITORS)
        }

    def test_private_file_that_is_added_again_is_replaced(self, store: Store) -> None:
        store.private_files.add("folder/one", b"the first content")
        store.private_files.add("folder/one", b"another")
        assert store.private_files.read("folder/one") == b"another"

    @pytest.mark.parametrize("data", [b"content", None])
    def test_private_file_gets_another_key(
        self, store: Store, another_store: Store, data: bytes | None
    ) -> None:
        store.private_files.add("folder/one", b"content")
        assert store.private_files.rename("folder/one", "folder/two", data)
        assert another_store.private_files.list("folder") == ["two"]
        assert another_store.private_files.read("folder/two") == b"content"

    def test_private_file_that_is_missing_gets_no_other_key(self, store: Store) -> None:
        assert not store.private_files.rename("folder/one", "folder/two")
        assert store.private_files.list("folder") == []

    def test_lock_of_a_key_is_held_by_one_until_it_is_released(
        self, store: Store, another_store: Store
    ) -> None:
        held = store.private_files.try_lock("some-lock")
        assert held
        assert another_store.private_files.try_lock("some-lock") is None
        assert store.private_files.try_lock("some-lock") is None
        assert store.private_files.try_lock("another-lock")
        assert held.keep()
        held.release()
        assert another_store.private_files.try_lock("some-lock")
