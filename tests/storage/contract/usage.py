"""Ownership and usage: who stored a file is kept with it, and a record of each owner is counted."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fileservice.names import FileName
from fileservice.storage import OwnedFile, Owner, Store
from tests.storage.contract.files import COMPETITORS, NAME, content_of, publish

ADA, CI = Owner("person:ada@example.org"), Owner("token:ci", "7.0123456789abcdef")
GUEST = "link:" + "0f" * 16


def publish_for(store: Store, owner: Owner | None, name: str, data: bytes = b"data") -> None:
    writer = store.writer(len(data))
    try:
        writer.write(data)
        writer.publish(FileName.parse(name), content_of(data), owner)
    finally:
        writer.close()


def add(count: int = 1) -> "Add":
    return Add(count)


class Add:
    """A change that adds to a number, and counts how often it was called."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, record: bytes | None) -> bytes:
        return b"%d" % (int(record or b"0") + self._count)


def change_nothing(_record: bytes | None) -> None:
    return None


def replace_by(record: bytes) -> Callable[[bytes | None], bytes]:
    return lambda _record: record


class UsageContract:
    @pytest.mark.parametrize(
        "owner",
        [
            ADA,
            CI,
            Owner("token:ci", guest=GUEST),
            Owner("token:ci", "7.0123456789abcdef", GUEST, "8.0123456789abcdef"),
            Owner("person:ada@example.org", "", GUEST, "8.0123456789abcdef"),
            Owner("person:Zoë O'Neill; x=1\r\n%41"),
            Owner("token:" + "x" * 250),
            None,
        ],
        ids=lambda owner: owner and owner.principal[:20],
    )
    def test_owner_is_kept_with_the_file(
        self, store: Store, another_store: Store, owner: Owner | None
    ) -> None:
        publish_for(store, owner, NAME)

        assert another_store.stat(NAME).owner == owner
        with another_store.open(NAME).body:
            pass
        assert another_store.delete(NAME).owner == owner

    def test_owner_of_a_large_file_is_kept(self, store: Store, another_store: Store) -> None:
        data = b"text\n" * (2 << 20)
        writer = store.writer(len(data), stream_to=NAME)
        try:
            writer.write(data)
            assert writer.publish(NAME, content_of(data), CI).owner == CI
        finally:
            writer.close()

        assert another_store.stat(NAME).owner == CI
        assert list(another_store.usage.owned_files()) == [OwnedFile(CI, len(data), NAME)]

    def test_owner_of_a_resumed_upload_is_kept(self, store: Store, another_store: Store) -> None:
        upload = store.uploads.create(b"record", 4)
        writer = store.locker.lock(upload)
        try:
            writer.write(b"data")
            assert writer.publish(NAME, content_of(b"data"), ADA).owner == ADA
        finally:
            writer.close()

        assert another_store.stat(NAME).owner == ADA

    def test_files_with_an_owner_are_returned_with_their_sizes(
        self, store: Store, another_store: Store
    ) -> None:
        publish_for(store, ADA, "a.txt", b"1")
        publish_for(store, CI, "b.txt", b"")
        publish_for(store, ADA, "c.txt", b"333")
        publish(store, "d.txt", b"nobody's")

        found = sorted(another_store.usage.owned_files(), key=lambda file: file.size)

        assert found == [
            OwnedFile(CI, 0, FileName.parse("b.txt")),
            OwnedFile(ADA, 1, FileName.parse("a.txt")),
            OwnedFile(ADA, 3, FileName.parse("c.txt")),
        ]
        assert [file.size for file in another_store.usage.owned_files("b")] == [0]
        assert list(store.usage.owned_files("bb")) == []

    @pytest.mark.parametrize("expires", [1, 4_000_000_000])
    def test_file_is_returned_with_its_expiry_and_also_after_that(
        self, store: Store, expires: int
    ) -> None:
        writer = store.writer()
        try:
            writer.publish(NAME, content_of(b""), CI, expires=expires)
        finally:
            writer.close()

        assert list(store.usage.owned_files()) == [OwnedFile(CI, 0, NAME, expires)]

    def test_record_of_one_owner_is_changed_and_that_of_another_is_not(
        self, store: Store, another_store: Store
    ) -> None:
        store.usage.update("ada", add(2))
        store.usage.update("ci", add(5))
        another_store.usage.update("ada", add(1))

        assert another_store.usage.read("ada") is not None
        assert int(another_store.usage.read("ada") or b"") == 3
        assert sorted(map(int, store.usage.records())) == [3, 5]
        assert store.usage.read("nobody") is None

    def test_change_that_returns_none_or_raises_changes_nothing(
        self, store: Store, another_store: Store
    ) -> None:
        def fail(record: bytes | None) -> bytes:
            raise ZeroDivisionError

        store.usage.update("nobody", change_nothing)
        assert list(store.usage.records()) == []
        store.usage.update("ada", add(1))
        store.usage.update("ada", change_nothing)
        with pytest.raises(ZeroDivisionError):
            store.usage.update("ada", fail)

        another_store.usage.update("ada", add(1))
        assert int(another_store.usage.read("ada") or b"") == 2

    def test_removed_record_is_missing(self, store: Store, another_store: Store) -> None:
        store.usage.update("ada", add(2))
        store.usage.update("ci", add(5))
        another_store.usage.remove("ada")
        another_store.usage.remove("ada")

        assert store.usage.read("ada") is None
        assert [int(record) for record in store.usage.records()] == [5]
        store.usage.update("ada", add(1))
        assert int(another_store.usage.read("ada") or b"") == 1

    def test_record_may_grow_and_shrink(self, store: Store, another_store: Store) -> None:
        for size in (10, 100_000, 5):
            store.usage.update("ada", replace_by(b"7" * size))
            assert (another_store.usage.read("ada") or b"").strip() == b"7" * size

    def test_no_change_of_many_writers_is_lost(self, store: Store, another_store: Store) -> None:
        """Half of the competitors are another process."""
        rounds = 20
        start = threading.Barrier(COMPETITORS)

        def run(number: int) -> None:
            start.wait()
            for _ in range(rounds):
                (store, another_store)[number % 2].usage.update("ada", add())

        with ThreadPoolExecutor(COMPETITORS) as threads:
            list(threads.map(run, range(COMPETITORS)))

        assert int(store.usage.read("ada") or b"") == COMPETITORS * rounds
