"""Byte ranges, compared with a simple implementation of RFC 9110 section 14.1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols.errors import RangeNotSatisfiable
from fileservice.protocols.ranges import (
    ByteRange,
    content_range,
    requested_ranges,
    unsatisfied_range,
)
from tests.support.rows import every_row


def selected_positions(specs: list[tuple[int | None, int | None]], size: int) -> set[int] | None:
    """Return the positions that the specs select; None if no spec is satisfiable."""
    selected: set[int] = set()
    for first, last in specs:
        if first is None:
            assert last is not None
            selected |= {position for position in range(size) if position >= size - last}
        else:
            selected |= {
                position
                for position in range(size)
                if position >= first and (last is None or position <= last)
            }
    return selected or None


SPECS = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).map(tuple),
    st.tuples(st.integers(0, 40), st.none()),
    st.tuples(st.none(), st.integers(0, 40)),
)


def range_field(specs: list[tuple[int | None, int | None]]) -> str:
    return "bytes=" + ",".join(
        f"{'' if first is None else first}-{'' if last is None else last}" for first, last in specs
    )


@given(st.lists(SPECS, min_size=1, max_size=8), st.integers(1, 30))
def test_ranges_select_the_bytes_that_the_specification_names(specs, size) -> None:
    expected = selected_positions(specs, size)
    if expected is None:
        with pytest.raises(RangeNotSatisfiable) as raised:
            requested_ranges(range_field(specs), size)
        assert raised.value.size == size
        return
    parts = requested_ranges(range_field(specs), size)
    positions = [p for part in parts for p in range(part.first, part.last + 1)]
    assert set(positions) == expected
    assert len(positions) == len(set(positions)), "no byte is sent twice"


@given(st.lists(SPECS, min_size=1, max_size=8), st.integers(1, 30))
def test_ranges_are_in_the_requested_order(specs, size) -> None:
    if selected_positions(specs, size) is None:
        return
    indexes = []
    for spec in specs:
        positions = selected_positions([spec], size)
        for index, part in enumerate(requested_ranges(range_field(specs), size)):
            if positions and min(positions) in range(part.first, part.last + 1):
                indexes.append(index)
    assert list(dict.fromkeys(indexes)) == sorted(set(indexes))


@given(st.text(max_size=40), st.integers(0, 100))
def test_any_text_returns_ranges_or_raises_range_not_satisfiable(text, size) -> None:
    for header in (text, f"bytes={text}"):
        try:
            parts = requested_ranges(header, size)
        except RangeNotSatisfiable:
            continue
        assert all(0 <= part.first <= part.last < size for part in parts)


@every_row(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=0-1,5-2",
        "bytes=0-1;2-3",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=0-1-2",
        "bytes=0 -1",
        "bytes=٠-١",
        "bytes 0-1",
        "lines=0-1",
        "bytes=1.0-2",
        "bytes=" + ",".join(["0-0"] * 65),
    ],
)
def test_ignored_range_field_stands_for_the_whole_file(header) -> None:
    assert requested_ranges(header, 100) == ()


@every_row(
    ("header", "size", "parts"),
    [
        ("bytes=0-0", 10, [(0, 0)]),
        ("bytes=0-", 10, [(0, 9)]),
        ("bytes=-3", 10, [(7, 9)]),
        ("bytes=-99", 10, [(0, 9)]),
        ("bytes=5-99", 10, [(5, 9)]),
        ("BYTES=1-2", 10, [(1, 2)]),
        ("bytes= 1-2 ,\t4-5", 10, [(1, 2), (4, 5)]),
        ("bytes=1-2,,4-5,", 10, [(1, 2), (4, 5)]),
        ("bytes=4-5,1-2", 10, [(4, 5), (1, 2)]),
        ("bytes=0-3,2-5", 10, [(0, 5)]),
        ("bytes=0-1,2-3", 10, [(0, 1), (2, 3)]),
        ("bytes=8-9,0-1,1-2", 10, [(8, 9), (0, 2)]),
        ("bytes=0-1,8-9,1-2", 10, [(0, 2), (8, 9)]),
        ("bytes=20-30,0-1", 10, [(0, 1)]),
        (f"bytes=0-{'9' * 5000}", 10, [(0, 9)]),
        (f"bytes={'0' * 5000}1-2", 10, [(1, 2)]),
        (f"bytes=-{'9' * 5000}", 10, [(0, 9)]),
    ],
)
def test_ranges_are_clamped_and_combined_where_they_overlap(header, size, parts) -> None:
    assert requested_ranges(header, size) == tuple(ByteRange(*part) for part in parts)


@every_row(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-0", 0),
        (f"bytes={'9' * 5000}-", 10),
    ],
)
def test_ranges_outside_the_file_raise_range_not_satisfiable(header, size) -> None:
    with pytest.raises(RangeNotSatisfiable):
        requested_ranges(header, size)


def test_suffix_range_of_an_empty_file_stands_for_the_whole_file() -> None:
    assert requested_ranges("bytes=-5", 0) == ()


def test_content_range_is_formatted() -> None:
    assert content_range(ByteRange(0, 1), 10) == "bytes 0-1/10"
    assert unsatisfied_range(10) == "bytes */10"
    assert ByteRange(3, 5).length == 3
