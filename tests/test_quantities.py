"""Quantities: what is written as a size is read as the same size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.quantities import format_size, parse_size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1024, "1KiB"), (1536, "1536B"), (10 << 30, "10GiB"), (1 << 41, "2TiB")],
)
def test_size_is_written_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 10**18 - 1) | st.integers(0, (1 << 23) - 1).map(lambda count: count << 40))
def test_written_size_is_read_as_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_size_that_no_file_can_have_is_refused() -> None:
    assert parse_size("8388607TiB") == (1 << 63) - (1 << 40)
    with pytest.raises(ValueError, match="must be less than 2\\^63 bytes"):
        parse_size("8388608TiB")
