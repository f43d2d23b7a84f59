"""Orders of the list, and cursors in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.web.errors import BadQuery
from fileservice.web.sort_order import SortOrder
from tests.support.rows import every_row

FILES = [
    StoredFile(FileName(name), size, modified_ns, Content("text/plain"), "v")
    for name, size, modified_ns in [("b.txt", 1, 30), ("a.txt", 2, 20), ("c.txt", 2, 10)]
]
ORDERS = {
    "name": ["a.txt", "b.txt", "c.txt"],
    "-name": ["c.txt", "b.txt", "a.txt"],
    "size": ["b.txt", "a.txt", "c.txt"],
    "-size": ["c.txt", "a.txt", "b.txt"],
    "modified": ["c.txt", "a.txt", "b.txt"],
    "-modified": ["b.txt", "a.txt", "c.txt"],
}


def in_order(order: SortOrder) -> list[StoredFile]:
    return sorted(FILES, key=order.key, reverse=order.descending)


@every_row(("text", "names"), ORDERS.items())
def test_files_of_one_value_are_sorted_by_name(text: str, names: list[str]) -> None:
    assert [file.name for file in in_order(SortOrder.parse(text))] == names


@every_row("text", ORDERS)
def test_an_order_is_written_as_it_is_parsed(text: str) -> None:
    assert str(SortOrder.parse(text)) == text


@every_row("text", ["", "-", "--size", "Name", "type", "name ", "size,name"])
def test_an_unknown_order_raises_bad_query(text: str) -> None:
    with pytest.raises(BadQuery, match="sort must be"):
        SortOrder.parse(text)


@every_row("text", ORDERS)
def test_exactly_the_files_after_a_cursor_follow_it(text: str) -> None:
    order = SortOrder.parse(text)
    files = in_order(order)
    for number, file in enumerate(files):
        position = order.parse_cursor(order.cursor(file))
        assert [f for f in files if order.is_after(f, position)] == files[number + 1 :]


@every_row("cursor", ["", "a.txt", "x/a.txt", "/a.txt", "1.5/a.txt"])
def test_a_cursor_of_another_order_raises_bad_query(cursor: str) -> None:
    with pytest.raises(BadQuery, match="after must be"):
        SortOrder.parse("size").parse_cursor(cursor)


@given(
    by=st.sampled_from(["size", "modified"]),
    value=st.integers(min_value=-(1 << 70), max_value=1 << 70),
    name=st.text(
        st.characters(blacklist_characters="/\\", blacklist_categories=["C", "Z"]), min_size=1
    ),
)
def test_a_cursor_gives_the_position_that_it_was_made_of(by: str, value: int, name: str) -> None:
    file = StoredFile(FileName(name), value, value, Content("text/plain"), "v")
    order = SortOrder(by)
    assert order.parse_cursor(order.cursor(file)) == order.key(file)
