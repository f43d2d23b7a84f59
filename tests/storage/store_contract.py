"""The contract of `storage.interface`, proved: every store passes this suite.

A test module subclasses StoreContract and gives two fixtures: `store`, empty, and `another_store`,
the same files through another object, as another process has it. Nothing here knows how a store
keeps its files.
"""

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from fileservice.names import FileName
from fileservice.storage import (
    Content,
    NameTaken,
    NoSuchUpload,
    NotFound,
    StorageUnavailable,
    Store,
    StoredFile,
)

COMPETITORS = 8


def content_of(data: bytes, media_type: str = "text/plain", charset: str | None = None) -> Content:
    return Content(media_type, charset, hashlib.sha256(data).digest())


def publish(
    store: Store, name: str, data: bytes = b"data", content: Content | None = None
) -> StoredFile:
    """Publish a file as an upload does."""
    writer = store.writer()
    try:
        writer.write(data)
        return writer.publish(FileName.parse(name), content or content_of(data))
    finally:
        writer.close()


def read(store: Store, name: str) -> bytes:
    with store.open(FileName.parse(name)).body as body:
        return body.read()


def names(store: Store, after: str = "", prefix: str = "", contains: str = "") -> list[str]:
    return [file.name for file in store.list(after=after, prefix=prefix, contains=contains)]


def compete(act: Callable[[int], object]) -> list[object]:
    """Let competitors act at one moment; what each got, or its error."""
    start = threading.Barrier(COMPETITORS)

    def run(number: int) -> object:
        start.wait()
        try:
            return act(number)
        except (NameTaken, NotFound) as error:
            return error

    with ThreadPoolExecutor(COMPETITORS) as threads:
        return list(threads.map(run, range(COMPETITORS)))


NAME = FileName.parse("a.txt")


class StoreContract:
    """Each test states one guarantee."""

    KEEPS_WHAT_IS_OPEN = True
    """An open file can be read to its end though it was deleted; else reading it fails."""
    LISTS_DIGESTS = True

    # Publishing

    @pytest.mark.parametrize("size", [0, 1, 100_000, 9 << 20])
    def test_a_published_file_is_there_whole(
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

    def test_what_is_written_can_be_read_back_at_any_offset_before_it_is_published(
        self, store: Store
    ) -> None:
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

    def test_reading_back_does_not_disturb_the_writing(self, store: Store) -> None:
        writer = store.writer()
        try:
            writer.write(b"first ")
            assert writer.read_at(5, 0) == b"first"
            writer.write(b"second")
            writer.publish(NAME, content_of(b"first second"))
        finally:
            writer.close()

        assert read(store, NAME) == b"first second"

    def test_a_file_is_invisible_until_it_is_published(
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

    def test_what_is_closed_unpublished_is_gone(self, store: Store) -> None:
        writer = store.writer()
        writer.write(b"data")
        writer.close()

        assert names(store) == []
        assert not store.is_taken(NAME)

    def test_what_was_found_out_about_the_bytes_is_kept(
        self, store: Store, another_store: Store
    ) -> None:
        for name, content in {
            "a.txt": content_of(b"data", "text/plain", "utf-8"),
            "b.txt": content_of(b"data", "text/plain", None),
            "c.pdf": content_of(b"data", "application/pdf"),
        }.items():
            published = publish(store, name, b"data", content)

            assert published.content == content
            assert another_store.stat(FileName.parse(name)).content == content

    def test_a_digest_that_was_never_computed_is_unknown(self, store: Store) -> None:
        published = publish(store, NAME, b"data", Content("text/plain"))

        assert published.content.sha256 is None
        assert store.stat(NAME).content.sha256 is None

    def test_publishing_opening_describing_and_listing_tell_the_same(
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
    def test_any_name_that_obeys_the_rules_can_be_kept(
        self, store: Store, another_store: Store, name: str
    ) -> None:
        publish(store, name, b"mine")

        assert read(another_store, name) == b"mine"
        assert names(another_store) == [name]
        assert another_store.is_taken(FileName.parse(name))
        another_store.delete(FileName.parse(name))
        assert names(store) == []

    def test_names_that_differ_in_case_alone_are_two(self, store: Store) -> None:
        publish(store, "a.txt", b"small")
        publish(store, "A.txt", b"large")

        assert read(store, "a.txt") == b"small"
        assert read(store, "A.txt") == b"large"

    # One name, one winner

    def test_a_taken_name_is_refused_and_nothing_changes(
        self, store: Store, another_store: Store
    ) -> None:
        first = publish(store, NAME, b"first")

        with pytest.raises(NameTaken):
            publish(another_store, NAME, b"second")

        assert read(store, NAME) == b"first"
        assert store.stat(NAME) == first

    def test_of_many_writers_of_one_name_one_wins(self, store: Store, another_store: Store) -> None:
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

    def test_a_name_is_taken_from_its_publication_to_its_deletion(
        self, store: Store, another_store: Store
    ) -> None:
        assert not another_store.is_taken(NAME)
        publish(store, NAME)
        assert another_store.is_taken(NAME)
        store.delete(NAME)
        assert not another_store.is_taken(NAME)

    # Reading

    def test_the_body_can_be_read_from_any_offset(self, store: Store) -> None:
        data = os.urandom(300_000)
        publish(store, NAME, data)

        with store.open(NAME).body as body:
            for offset in (0, 299_999, 150_000, 300_000, 1):
                body.seek(offset)
                piece = body.read(10)
                assert piece == data[offset : offset + 10]

    def test_an_open_file_never_becomes_the_one_that_replaced_it(self, store: Store) -> None:
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

    def test_a_name_without_a_file_is_not_found(self, store: Store) -> None:
        publish(store, "b.txt")

        for ask in (store.open, store.stat, store.delete):
            with pytest.raises(NotFound) as missing:
                ask(NAME)
            assert missing.value.name == NAME

    def test_the_version_tells_other_bytes_from_the_same_ones(self, store: Store) -> None:
        versions = set()
        for data in (b"one", b"two", b""):
            publish(store, NAME, data)
            versions.add(store.stat(NAME).version)
            assert store.stat(NAME).version == store.stat(NAME).version
            store.delete(NAME)

        assert len(versions) == 3

    def test_the_version_may_stand_in_an_entity_tag(self, store: Store) -> None:
        for content in (content_of(b"data"), Content("text/plain")):
            version = publish(store, NAME, b"data", content).version
            assert version
            assert all(character > " " and character != '"' for character in version)
            assert version.isascii()
            store.delete(NAME)

    # Deleting

    def test_a_deleted_file_is_gone_and_its_name_is_free(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, NAME, b"old")

        another_store.delete(NAME)

        assert names(store) == []
        with pytest.raises(NotFound):
            store.open(NAME)
        publish(store, NAME, b"new")
        assert read(another_store, NAME) == b"new"

    def test_a_version_that_is_still_there_is_deleted(self, store: Store) -> None:
        version = publish(store, NAME).version

        store.delete(NAME, version)

        assert names(store) == []

    def test_a_version_that_is_there_no_more_is_not_deleted(self, store: Store) -> None:
        old = publish(store, NAME, b"old").version
        store.delete(NAME)
        publish(store, NAME, b"new")

        for version in (old, "", "*"):
            with pytest.raises(NotFound):
                store.delete(NAME, version)

        assert read(store, NAME) == b"new"

    def test_a_published_file_can_be_deleted_while_its_writer_is_not_closed_yet(
        self, store: Store, another_store: Store
    ) -> None:
        """Else those who wait to delete could keep the one they wait for from closing."""
        writer = store.writer()
        deleting = threading.Thread(target=another_store.delete, args=(NAME,))
        try:
            writer.publish(NAME, content_of(b""))
            deleting.start()
            deleting.join(timeout=5)
            waits = deleting.is_alive()
        finally:
            writer.close()
            deleting.join()

        assert not waits
        assert names(store) == []

    def test_of_many_who_delete_one_file_one_succeeds(
        self, store: Store, another_store: Store
    ) -> None:
        for _ in range(10):
            publish(store, NAME)

            results = compete(lambda number: (store, another_store)[number % 2].delete(NAME))

            assert results.count(None) == 1
            assert not store.is_taken(NAME)

    def test_a_deletion_never_hits_the_file_that_came_after(self, store: Store) -> None:
        """One deletes the old file by its version while others replace it all the time."""
        version = publish(store, NAME, b"old").version

        def act(number: int) -> object:
            if number < COMPETITORS // 2:
                return store.delete(NAME, version)
            while True:
                try:
                    return publish(store, NAME, b"new %d" % number)
                except NameTaken:
                    if store.stat(NAME).version != version:
                        raise

        compete(act)

        assert read(store, NAME).startswith(b"new")

    # Listing

    SORTED = ("A.txt", "B.txt", "a.txt", "a.txt.md", "a1.txt", "ab.txt", "b.txt", "é.txt", "日.txt",
              "\uffee.txt", "👍.txt")  # fmt: skip
    """By code points; by UTF-16 units the last two would change places."""

    def test_the_list_is_in_code_point_order(self, store: Store, another_store: Store) -> None:
        for name in (*self.SORTED[::2], *self.SORTED[1::2]):
            publish(store, name)

        assert tuple(names(another_store)) == self.SORTED
        assert list(self.SORTED) == sorted(self.SORTED)

    def test_a_file_that_was_listed_in_brief_can_be_described(self, store: Store) -> None:
        for number, name in enumerate(self.SORTED):
            publish(store, name, b"x" * number)

        whole, brief = list(store.list()), list(store.list(brief=True))

        assert [(file.name, file.size, file.modified_ns) for file in brief] == [
            (file.name, file.size, file.modified_ns) for file in whole
        ]
        assert [store.describe(file) for file in brief] == whole

    def test_the_list_goes_on_after_any_text_that_need_not_be_a_name(self, store: Store) -> None:
        for name in self.SORTED:
            publish(store, name)

        for cursor in ("", *self.SORTED, "a", "aa", "zz", "\U0010ffff", "A.txt\0", " ", "/"):
            assert names(store, after=cursor) == [name for name in self.SORTED if name > cursor]

    def test_the_list_can_be_narrowed_by_prefix_and_by_content_of_the_name(
        self, store: Store
    ) -> None:
        for name in self.SORTED:
            publish(store, name)

        for prefix in ("", "a", "a.txt", "a.txt.", "é", "z", "A", "👍"):
            assert names(store, prefix=prefix) == [n for n in self.SORTED if n.startswith(prefix)]
        for text in ("", "B", "É", ".TXT", ".md", "nowhere"):
            assert names(store, contains=text) == [
                name for name in self.SORTED if text.casefold() in name.casefold()
            ]
        for after in ("", "A", "a.txt", "a.txt.md", "b"):
            assert names(store, after=after, prefix="a", contains="T") == [
                n for n in self.SORTED if n > after and n.startswith("a") and "t" in n
            ]

    def test_pages_give_every_file_once(self, store: Store) -> None:
        expected = [f"{number:02}.txt" for number in range(23)]
        for name in expected:
            publish(store, name)

        seen: list[str] = []
        while page := list(itertools.islice(store.list(after=seen[-1] if seen else ""), 5)):
            seen += [file.name for file in page]

        assert seen == expected

    def test_files_that_stay_come_once_whatever_comes_and_goes_between_pages(
        self, store: Store, another_store: Store
    ) -> None:
        staying = [f"{number:02}-stays.txt" for number in range(20)]
        for number, name in enumerate(staying):
            publish(store, name)
            publish(store, f"{number:02}-goes.txt")

        seen: list[str] = []
        page_number = 0
        while page := list(itertools.islice(store.list(after=seen[-1] if seen else ""), 3)):
            seen += [file.name for file in page]
            for number in (page_number, 19 - page_number):
                goes = FileName.parse(f"{number:02}-goes.txt")
                if another_store.is_taken(goes):
                    another_store.delete(goes)
            publish(another_store, f"{page_number:02}-comes.txt")
            page_number = min(page_number + 1, 99)

        assert [name for name in seen if name.endswith("stays.txt")] == staying
        assert seen == sorted(set(seen))

    def test_files_that_stay_come_once_whatever_goes_while_a_page_is_made(
        self, store: Store, another_store: Store
    ) -> None:
        for number in range(20):
            publish(store, f"{number:02}.txt")

        listed = store.list()
        seen = [next(listed).name]
        for number in range(5, 10):
            another_store.delete(FileName.parse(f"{number:02}.txt"))
        publish(another_store, "00-new.txt")
        seen += [file.name for file in listed]

        staying = [f"{n:02}.txt" for n in range(20) if not 5 <= n < 10]
        assert [name for name in seen if name in staying] == staying
        assert seen == sorted(set(seen))

    def test_a_list_need_not_be_read_to_its_end(self, store: Store) -> None:
        publish(store, "a.txt")
        publish(store, "b.txt")

        listed = store.list()
        assert next(listed).name == "a.txt"
        del listed

        assert names(store) == ["a.txt", "b.txt"]

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert names(store) == []

    # Uploads that can be resumed

    def test_an_upload_that_ended_as_it_began_is_a_record_without_a_writer(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create_ended(b"record")
        assert another_store.uploads.create_ended(b"record") == upload
        assert store.uploads.create_ended(b"another") != upload
        kept = another_store.uploads.read(upload)
        assert (kept.record, kept.size) == (b"record", 0)
        assert len(list(store.uploads.list_ids())) == 2
        another_store.uploads.remove(upload)
        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload)

    def test_bytes_and_record_of_an_upload_outlive_its_writer(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", 10)
        writer = store.locker.lock(upload)
        writer.write(b"01234")
        writer.sync()
        writer.update(b"another")
        writer.close()

        kept = another_store.uploads.read(upload)
        assert (kept.record, kept.size) == (b"another", 5)
        assert abs(kept.modified - time.time()) < 5
        assert list(another_store.uploads.list_ids()) == [upload]
        assert [found.upload for found in another_store.uploads.list_unfinished()] == [upload]
        assert (
            another_store.uploads.read_record(upload) == another_store.uploads.read(upload).record
        )
        writer = another_store.locker.lock(upload)
        writer.write(b"56789")
        assert writer.publish(NAME, content_of(b"0123456789")).size == 10
        writer.close()
        assert read(store, NAME) == b"0123456789"

    def test_an_upload_that_ended_keeps_its_record_and_no_bytes(
        self, store: Store, another_store: Store
    ) -> None:
        upload = store.uploads.create(b"record", None)
        writer = store.locker.lock(upload)
        writer.write(b"kept")
        writer.sync()
        writer.write(b"on the way")
        writer.end(b"ended")
        writer.sync()
        writer.close()

        kept = another_store.uploads.read(upload)
        assert (kept.record, kept.size) == (b"ended", 0)
        another_store.uploads.remove(upload)
        with pytest.raises(NoSuchUpload):
            store.uploads.read(upload)

    # Housekeeping

    def test_a_sweep_spares_what_is_published_and_what_is_being_written(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, "a.txt", b"published")
        writer = store.writer()
        try:
            writer.write(b"in the ")
            store.sweep()
            another_store.sweep()
            writer.write(b"making")
            writer.publish(FileName.parse("b.txt"), content_of(b"in the making"))
            another_store.sweep()
        finally:
            writer.close()

        assert read(another_store, "a.txt") == b"published"
        assert read(another_store, "b.txt") == b"in the making"

    def test_the_free_space_is_a_number_of_bytes_or_unknown(self, store: Store) -> None:
        free = store.free_space()

        assert free is None or free >= 0
