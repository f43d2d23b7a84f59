"""Reading: a body belongs to its description, whatever happens to the name meanwhile."""

import hashlib
import os
from contextlib import ExitStack, suppress

import pytest

from fileservice.storage import Content, NotFound, StorageUnavailable, Store
from tests.storage.contract.files import NAME, content_of, publish, read


class ReadContract:
    KEEPS_WHAT_IS_OPEN = True
    """An open file can be read to its end after it was deleted; otherwise reading it fails."""

    def test_body_can_be_read_from_any_offset(self, store: Store) -> None:
        data = os.urandom(300_000)
        publish(store, NAME, data)

        with store.open(NAME).body as body:
            for offset in (0, 299_999, 150_000, 300_000, 1):
                body.seek(offset)
                piece = body.read(10)
                assert piece == data[offset : offset + 10]

    @pytest.mark.parametrize("sequential", [False, True])
    def test_ranges_of_a_body_can_be_read_in_any_order(
        self, store: Store, sequential: bool
    ) -> None:
        data = os.urandom(300_000)
        publish(store, NAME, data)

        opened = store.open(NAME, sequential=sequential)
        with opened.body as body:
            for first, end in ((100, 200), (200, 300), (0, 1), (299_000, 300_000), (150, 160)):
                opened.seek_range(first, end)
                assert body.read(end - first) == data[first:end]

    def test_open_file_never_becomes_the_one_that_replaced_it(self, store: Store) -> None:
        old = os.urandom(2 << 20)
        publish(store, NAME, old)

        opened = store.open(NAME)
        with opened.body as body:
            store.delete(NAME)
            publish(store, NAME, b"new")
            read_back = bytearray()
            with ExitStack() as stack:
                if not self.KEEPS_WHAT_IS_OPEN:
                    stack.enter_context(suppress(StorageUnavailable))
                while block := body.read(1 << 16):
                    read_back += block

        assert bytes(read_back) == old[: len(read_back)]
        assert len(read_back) == len(old) or not self.KEEPS_WHAT_IS_OPEN
        assert opened.file.content.sha256 == hashlib.sha256(old).digest()
        assert read(store, NAME) == b"new"

    def test_name_without_a_file_raises_not_found(self, store: Store) -> None:
        publish(store, "b.txt")

        for call in (store.open, store.stat, store.delete):
            with pytest.raises(NotFound) as missing:
                call(NAME)
            assert missing.value.name == NAME

    def test_version_changes_with_the_bytes(self, store: Store) -> None:
        versions = set()
        for data in (b"one", b"two", b""):
            publish(store, NAME, data)
            versions.add(store.stat(NAME).version)
            assert store.stat(NAME).version == store.stat(NAME).version
            store.delete(NAME)

        assert len(versions) == 3

    def test_version_may_stand_in_an_entity_tag(self, store: Store) -> None:
        for content in (content_of(b"data"), Content("text/plain")):
            version = publish(store, NAME, b"data", content).version
            assert version
            assert all(character > " " and character != '"' for character in version)
            assert version.isascii()
            store.delete(NAME)
