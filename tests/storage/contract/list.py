"""Listing: every file once, in code point order, whatever changes meanwhile."""

import itertools

from fileservice.names import FileName
from fileservice.storage import Store
from tests.storage.contract.files import names, publish

SORTED = ("A.txt", "B.txt", "a.txt", "a.txt.md", "a1.txt", "ab.txt", "b.txt", "é.txt", "日.txt",
          "\uffee.txt", "👍.txt")  # fmt: skip
"""Sorted by code points; sorted by UTF-16 code units, the last two would change places."""


class ListContract:
    def test_files_are_listed_in_code_point_order(self, store: Store, another_store: Store) -> None:
        for name in (*SORTED[::2], *SORTED[1::2]):
            publish(store, name)

        assert tuple(names(another_store)) == SORTED
        assert list(SORTED) == sorted(SORTED)

    def test_file_listed_briefly_can_be_described(self, store: Store) -> None:
        for number, name in enumerate(SORTED):
            publish(store, name, b"x" * number)

        complete, brief = list(store.list()), list(store.list(brief=True))

        assert [(file.name, file.size, file.modified_ns) for file in brief] == [
            (file.name, file.size, file.modified_ns) for file in complete
        ]
        assert [store.describe(file) for file in brief] == complete

    def test_list_continues_after_any_text_that_need_not_be_a_name(self, store: Store) -> None:
        for name in SORTED:
            publish(store, name)

        for cursor in ("", *SORTED, "a", "aa", "zz", "\U0010ffff", "A.txt\0", " ", "/"):
            assert names(store, after=cursor) == [name for name in SORTED if name > cursor]

    def test_list_can_be_restricted_by_prefix_and_by_contained_text(self, store: Store) -> None:
        for name in SORTED:
            publish(store, name)

        for prefix in ("", "a", "a.txt", "a.txt.", "é", "z", "A", "👍"):
            assert names(store, prefix=prefix) == [n for n in SORTED if n.startswith(prefix)]
        for text in ("", "B", "É", ".TXT", ".md", "nowhere"):
            assert names(store, contains=text) == [
                name for name in SORTED if text.casefold() in name.casefold()
            ]
        for after in ("", "A", "a.txt", "a.txt.md", "b"):
            assert names(store, after=after, prefix="a", contains="T") == [
                n for n in SORTED if n > after and n.startswith("a") and "t" in n
            ]

    def test_pages_list_every_file_once(self, store: Store) -> None:
        expected = [f"{number:02}.txt" for number in range(23)]
        for name in expected:
            publish(store, name)

        listed: list[str] = []
        while page := list(itertools.islice(store.list(after=listed[-1] if listed else ""), 5)):
            listed += [file.name for file in page]

        assert listed == expected

    def test_files_that_exist_throughout_are_listed_once_if_others_change_between_pages(
        self, store: Store, another_store: Store
    ) -> None:
        stable = [f"{number:02}-stable.txt" for number in range(20)]
        for number, name in enumerate(stable):
            publish(store, name)
            publish(store, f"{number:02}-deleted.txt")

        listed: list[str] = []
        for page_number in itertools.count():
            page = list(itertools.islice(store.list(after=listed[-1] if listed else ""), 3))
            if not page:
                break
            listed += [file.name for file in page]
            for number in (page_number, 19 - page_number):
                deleted = FileName.parse(f"{number:02}-deleted.txt")
                if another_store.is_taken(deleted):
                    another_store.delete(deleted)
            publish(another_store, f"{page_number:02}-created.txt")

        assert [name for name in listed if name.endswith("stable.txt")] == stable
        assert listed == sorted(set(listed))

    def test_files_that_exist_throughout_are_listed_once_if_others_change_within_a_page(
        self, store: Store, another_store: Store
    ) -> None:
        for number in range(20):
            publish(store, f"{number:02}.txt")

        cursor = store.list()
        listed = [next(cursor).name]
        for number in range(5, 10):
            another_store.delete(FileName.parse(f"{number:02}.txt"))
        publish(another_store, "00-new.txt")
        listed += [file.name for file in cursor]

        stable = [f"{n:02}.txt" for n in range(20) if not 5 <= n < 10]
        assert [name for name in listed if name in stable] == stable
        assert listed == sorted(set(listed))

    def test_list_need_not_be_read_to_its_end(self, store: Store) -> None:
        publish(store, "a.txt")
        publish(store, "b.txt")

        cursor = store.list()
        assert next(cursor).name == "a.txt"
        del cursor  # a file that this leaves open fails the test as a ResourceWarning

        assert names(store) == ["a.txt", "b.txt"]

    def test_empty_store_lists_nothing(self, store: Store) -> None:
        assert names(store) == []
