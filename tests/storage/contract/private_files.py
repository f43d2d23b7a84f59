"""Small files of the service itself."""

from fileservice.storage import Store
from tests.storage.contract.files import compete, names


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

    def test_private_files_are_not_listed_with_the_files_of_clients(self, store: Store) -> None:
        store.private_files.create("some-key", b"content")
        store.private_files.create("folder/one", b"")
        assert names(store) == []
