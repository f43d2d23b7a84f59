"""Publishing: a file becomes visible as a whole, under a name that one writer wins."""

import itertools
import os
from dataclasses import replace

import pytest

from fileservice.names import FileName
from fileservice.storage import Content, NameTaken, NotFound, Store, StoredFile
from tests.storage.contract.files import (
    COMPETITORS,
    NAME,
    compete,
    content_of,
    names,
    publish,
    read,
)


class PublishContract:
    LISTS_DIGESTS = True

    @pytest.mark.parametrize("size", [0, 1, 100_000, 9 << 20])
    def test_published_file_has_all_its_bytes(
        self, store: Store, another_store: Store, size: int
    ) -> None:
        data = os.urandom(size)

        file = publish(store, NAME, data)

        assert file.name == NAME
        assert file.size == size
        for either in (store, another_store):
            assert read(either, NAME) == data
            assert either.stat(NAME).size == size

    def test_blocks_of_any_size_are_appended_in_order(self, store: Store) -> None:
        blocks = [os.urandom(size) for size in (0, 1, 70_000, 3, 1 << 20, 0, 5)]
        writer = store.writer()
        try:
            for block in blocks:
                writer.write(block)
            writer.publish(NAME, content_of(b"".join(blocks)))
        finally:
            writer.close()

        assert read(store, NAME) == b"".join(blocks)

    def test_staged_bytes_can_be_read_at_any_offset(self, store: Store) -> None:
        writer = store.writer()
        try:
            writer.write(b"0123456789" * 10_000)
            assert writer.read_at(4, 99_996) == b"6789"
            writer.write(b"abcdef")
            assert writer.read_at(100, 99_998) == b"89abcdef"
            assert writer.size == 100_006
            with writer.descriptor() as descriptor:
                assert os.pread(descriptor, 100, 99_998) == b"89abcdef"
                assert os.fstat(descriptor).st_size == 100_006
        finally:
            writer.close()

    def test_reading_staged_bytes_does_not_move_the_end_of_the_file(self, store: Store) -> None:
        writer = store.writer()
        try:
            writer.write(b"first ")
            assert writer.read_at(5, 0) == b"first"
            writer.write(b"second")
            writer.publish(NAME, content_of(b"first second"))
        finally:
            writer.close()

        assert read(store, NAME) == b"first second"

    def test_file_is_invisible_until_it_is_published(
        self, store: Store, another_store: Store
    ) -> None:
        writer = store.writer()
        try:
            writer.write(b"data")
            for either in (store, another_store):
                assert names(either) == []
                assert not either.is_taken(NAME)
                with pytest.raises(NotFound):
                    either.open(NAME)
            writer.publish(NAME, content_of(b"data"))
            assert names(another_store) == [NAME]
        finally:
            writer.close()
        assert names(another_store) == [NAME]

    def test_closing_a_writer_discards_an_unpublished_file(self, store: Store) -> None:
        writer = store.writer()
        writer.write(b"data")
        writer.close()

        assert names(store) == []
        assert not store.is_taken(NAME)

    def test_description_of_the_content_is_kept(self, store: Store, another_store: Store) -> None:
        for name, content in {
            "a.txt": content_of(b"data", "text/plain", "utf-8"),
            "b.txt": content_of(b"data", "text/plain", None),
            "c.pdf": content_of(b"data", "application/pdf"),
        }.items():
            published = publish(store, name, b"data", content)

            assert published.content == content
            assert another_store.stat(FileName.parse(name)).content == content

    def test_digest_that_was_not_computed_is_unknown(self, store: Store) -> None:
        published = publish(store, NAME, b"data", Content("text/plain"))

        assert published.content.sha256 is None
        assert store.stat(NAME).content.sha256 is None

    def test_publish_open_stat_and_list_describe_a_file_alike(
        self, store: Store, another_store: Store
    ) -> None:
        published = publish(store, NAME)

        opened = another_store.open(NAME)
        opened.body.close()

        assert opened.file == published
        assert another_store.stat(NAME) == published
        [listed] = another_store.list()
        if not self.LISTS_DIGESTS:
            content = replace(published.content, sha256=listed.content.sha256)
            published = replace(published, content=content, version=listed.version)
        assert listed == published

    @pytest.mark.parametrize(
        "name",
        [
            "Straße № 5 (final) +&=%20?#.pdf",
            "日本語.txt",
            "👍.png",
            "~",
            "-rf",
            "x" * 255,
            "語" * 85,
        ],
    )
    def test_any_valid_name_can_be_published_listed_and_deleted(
        self, store: Store, another_store: Store, name: str
    ) -> None:
        publish(store, name, b"mine")

        assert read(another_store, name) == b"mine"
        assert names(another_store) == [name]
        assert another_store.is_taken(FileName.parse(name))
        another_store.delete(FileName.parse(name))
        assert names(store) == []

    def test_names_that_differ_only_in_case_are_two_files(self, store: Store) -> None:
        publish(store, "a.txt", b"small")
        publish(store, "A.txt", b"large")

        assert read(store, "a.txt") == b"small"
        assert read(store, "A.txt") == b"large"

    def test_publishing_a_taken_name_raises_name_taken_and_changes_nothing(
        self, store: Store, another_store: Store
    ) -> None:
        first = publish(store, NAME, b"first")

        with pytest.raises(NameTaken):
            publish(another_store, NAME, b"second")

        assert read(store, NAME) == b"first"
        assert store.stat(NAME) == first

    def test_one_of_many_writers_of_a_name_succeeds(
        self, store: Store, another_store: Store
    ) -> None:
        stores = itertools.cycle([store, another_store])
        writers = [next(stores).writer() for _ in range(COMPETITORS)]
        try:
            for number, writer in enumerate(writers):
                writer.write(b"%d" % number * 1000)
            results = compete(
                lambda number: writers[number].publish(NAME, content_of(b"%d" % number * 1000))
            )
        finally:
            for writer in writers:
                writer.close()

        [winner] = [n for n, result in enumerate(results) if isinstance(result, StoredFile)]
        assert sum(isinstance(result, NameTaken) for result in results) == COMPETITORS - 1
        assert read(store, NAME) == b"%d" % winner * 1000
        assert store.stat(NAME) == results[winner]

    def test_name_is_taken_from_publication_to_deletion(
        self, store: Store, another_store: Store
    ) -> None:
        assert not another_store.is_taken(NAME)
        publish(store, NAME)
        assert another_store.is_taken(NAME)
        store.delete(NAME)
        assert not another_store.is_taken(NAME)
