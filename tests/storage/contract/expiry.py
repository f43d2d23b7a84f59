"""Expiry: from one second on a file does not exist, and then somebody removes it, once."""

import itertools

import pytest

from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, Owner, Store, StoredFile
from tests.storage.contract.files import (
    COMPETITORS,
    NAME,
    StoreAt,
    compete,
    content_of,
    names,
    publish,
    read,
    replace,
)

OVER = 1_700_000_000
"""A time in the past, in Unix seconds."""
LATER = OVER + 86_400
"""By then a store has waited long enough for whoever reads a file that expired at OVER."""
FAR = 4_000_000_000
MIB = 1 << 20
SIZES = [
    pytest.param(4, id="small"),
    pytest.param(9 * MIB, id="larger than a part of a bucket"),
]


def due(store: Store) -> list[str]:
    return [file.name for file in store.expired.due()]


def remove_all(store: Store) -> list[str]:
    """Remove what is due, as a sweep does, and return the names."""
    return [store.expired.remove(file).name for file in store.expired.due()]


class ExpiryContract:
    @pytest.mark.parametrize("size", SIZES)
    def test_time_of_expiry_is_kept_with_the_file(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        file = publish(store, NAME, b"x" * size, expires=FAR)

        assert file.expires == FAR
        assert another_store.stat(NAME) == file
        assert publish(store, "b.txt").expires is None
        opened = another_store.open(NAME)
        opened.body.close()
        assert opened.file == file

    @pytest.mark.parametrize("size", SIZES)
    def test_file_exists_until_the_second_at_which_it_expires(
        self, store: Store, store_at: StoreAt, size: int
    ) -> None:
        file = publish(store, NAME, b"x" * size, expires=OVER)
        before, after = store_at(OVER - 0.001), store_at(OVER)

        assert before.stat(NAME) == file
        assert len(read(before, NAME)) == size
        assert names(before) == [NAME]
        for call in (
            lambda: after.stat(NAME),
            lambda: after.open(NAME),
            lambda: after.open(NAME, sequential=True),
            lambda: after.delete(NAME),
            lambda: after.delete(NAME, file.version),
        ):
            with pytest.raises(NotFound):
                call()
        for brief in (False, True):
            assert list(after.list(brief=brief)) == []
        assert names(before) == [NAME]

    def test_lists_say_when_files_expire(self, store: Store) -> None:
        expected = {}
        for number in range(30):
            name = f"{number:02}{'.txt' * (number % 4 + 1)}"
            expected[name] = FAR + number if number % 3 == 0 else None
            publish(store, name, expires=expected[name])

        assert {file.name: file.expires for file in store.list()} == expected
        for after, prefix, contains in itertools.product(
            ("", "03.txt", "03.txt.txt.txt.txt", "1"), ("", "0", "1"), ("", "TXT.")
        ):
            listed = store.list(after=after, prefix=prefix, contains=contains, expected=4)
            assert {file.name: file.expires for file in listed} == {
                name: expires
                for name, expires in expected.items()
                if name > after and name.startswith(prefix) and contains.casefold() in name
            }

    def test_expired_files_are_due_in_the_order_of_their_times(
        self, store: Store, store_at: StoreAt
    ) -> None:
        for name, expires in (
            ("last.txt", OVER + 7200),
            ("b.txt", OVER + 1),
            ("a.txt", OVER + 10),
            ("first.txt", OVER),
            ("later.txt", FAR),
            ("never.txt", None),
        ):
            publish(store, name, expires=expires)

        assert due(store) == ["first.txt", "b.txt", "a.txt", "last.txt"]
        assert due(store_at(OVER - 1)) == []

    @pytest.mark.parametrize("size", SIZES)
    def test_removed_file_is_gone_for_every_clock(
        self, store: Store, another_store: Store, store_at: StoreAt, size: int
    ) -> None:
        publish(store, NAME, b"x" * size, expires=OVER)
        assert store.is_taken(NAME)

        assert remove_all(another_store) == [NAME]

        assert not store.is_taken(NAME)
        assert due(store) == due(another_store) == []
        with pytest.raises(NotFound):
            store_at(OVER - 1).stat(NAME)
        assert names(store_at(OVER - 1)) == []

    def test_only_expired_files_are_found_and_removed_as_such(
        self, store: Store, store_at: StoreAt
    ) -> None:
        file = publish(store, NAME, expires=OVER)
        publish(store, "never.txt")
        before = store_at(OVER - 1)

        assert store.expired.find(NAME) == file
        for name in (NAME, FileName.parse("never.txt"), FileName.parse("none.txt")):
            with pytest.raises(NotFound):
                before.expired.find(name)
        with pytest.raises(NotFound):
            before.expired.remove(file)
        with pytest.raises(NotFound):
            store.expired.find(FileName.parse("never.txt"))
        assert names(before) == [NAME, "never.txt"]

    def test_expired_file_holds_its_name_until_it_is_removed(self, store: Store) -> None:
        publish(store, NAME, b"old", expires=OVER)

        with pytest.raises(NameTaken):
            publish(store, NAME, b"new")
        store.expired.remove(store.expired.find(NAME))
        publish(store, NAME, b"new")

        assert read(store, NAME) == b"new"
        assert due(store) == []
        assert [(file.name, file.expires) for file in store.list()] == [(NAME, None)]

    def test_file_of_the_same_bytes_has_the_time_of_its_own_upload(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, NAME, expires=OVER)
        assert names(store) == []
        remove_all(another_store)

        publish(store, NAME, expires=FAR)

        assert [file.expires for file in store.list()] == [FAR]
        assert store.stat(NAME).expires == FAR
        assert due(store) == []

    def test_deleted_file_leaves_its_name_to_one_that_never_expires(
        self, store: Store, store_at: StoreAt
    ) -> None:
        publish(store, NAME, b"old", expires=FAR)
        store.delete(NAME)
        file = publish(store, NAME, b"new")

        assert store_at(FAR + 1e6).stat(NAME) == file
        assert due(store_at(FAR + 1e6)) == []
        assert names(store_at(FAR + 1e6)) == [NAME]

    def test_removal_spares_the_file_that_has_the_name_now(self, store: Store) -> None:
        old = publish(store, NAME, b"old", expires=OVER)
        store.expired.remove(old)

        for expires in (None, FAR, OVER, OVER + 1):
            publish(store, NAME, b"new", expires=expires)
            with pytest.raises(NotFound):
                store.expired.remove(old)
            assert store.is_taken(NAME)
            try:
                store.delete(NAME)
            except NotFound:
                store.expired.remove(store.expired.find(NAME))

    def test_upload_that_loses_its_name_leaves_nothing_that_expires(
        self, store: Store, store_at: StoreAt
    ) -> None:
        file = publish(store, NAME, b"first")

        with pytest.raises(NameTaken):
            publish(store, NAME, b"second", expires=OVER)
        with pytest.raises(NameTaken):
            publish(store, NAME, b"third", expires=FAR)

        assert due(store) == []
        assert due(store_at(FAR + 1e6)) == []
        assert store_at(FAR + 1e6).stat(NAME) == file
        assert [(file.name, file.expires) for file in store.list()] == [(NAME, None)]

    @pytest.mark.parametrize("size", SIZES)
    def test_file_that_takes_the_place_of_another_has_its_own_time(
        self, store: Store, another_store: Store, store_at: StoreAt, size: int
    ) -> None:
        after = store_at(FAR + 1e6)
        for old, new in itertools.permutations((None, FAR, FAR + 7200), 2):
            version = publish(store, NAME, b"old", expires=old).version

            replace(another_store, NAME, b"x" * size, version, expires=new)

            assert store.stat(NAME).expires == new
            assert [file.expires for file in store.list()] == [new]
            assert due(store) == []
            assert due(after) == [NAME] * (new is not None)
            store.delete(NAME)
            assert due(after) == []

    @pytest.mark.parametrize("races", [2, pytest.param(10, marks=pytest.mark.thorough)])
    def test_one_of_many_that_remove_a_file_succeeds(
        self, store: Store, another_store: Store, races: int
    ) -> None:
        for number in range(races):
            file = publish(store, NAME, expires=OVER + number)

            results = compete(
                lambda number, file=file: (store, another_store)[number % 2].expired.remove(file)
            )

            assert sum(isinstance(result, StoredFile) for result in results) == 1
            assert not store.is_taken(NAME)

    def test_of_many_that_take_the_name_of_an_expired_file_one_succeeds(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, NAME, b"old", expires=OVER)

        def act(number: int) -> StoredFile:
            own = (store, another_store)[number % 2]
            while True:
                try:
                    return publish(own, NAME, b"new %d" % number, expires=FAR)
                except NameTaken:
                    try:
                        own.expired.remove(own.expired.find(NAME))
                    except NotFound:
                        if own.is_taken(NAME):
                            raise

        results = compete(act)

        [won] = [result for result in results if isinstance(result, StoredFile)]
        assert len(results) == COMPETITORS
        assert store.stat(NAME) == won
        assert due(store) == []
        assert [file.expires for file in store.list()] == [FAR]

    def test_owner_of_an_expired_file_is_known_until_it_is_removed(self, store: Store) -> None:
        owner = Owner("token:ci", "7.0123456789abcdef")
        writer = store.writer()
        try:
            writer.publish(NAME, content_of(b""), owner, expires=OVER)
        finally:
            writer.close()

        [file] = store.expired.due()
        assert file.owner == owner
        assert [owned.owner for owned in store.usage.owned_files()] == [owner]
        assert store.expired.remove(file).owner == owner
        assert list(store.usage.owned_files()) == []
