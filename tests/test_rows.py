"""Tables that one test checks: no row is left out, and every wrong one is named."""

import inspect

import pytest

from tests.support.rows import every_row


def test_every_row_is_checked_with_the_fixtures_of_the_test() -> None:
    seen = []

    @every_row("value", [1, 2])
    @every_row(("first", "second"), {"a": 1, "b": 2}.items())
    def test(fixture: str, value: int, first: str, second: int) -> None:
        seen.append((fixture, value, first, second))

    assert list(inspect.signature(test).parameters) == ["fixture"]
    test(fixture="x")
    assert seen == [("x", 1, "a", 1), ("x", 1, "b", 2), ("x", 2, "a", 1), ("x", 2, "b", 2)]


def test_all_rows_that_fail_are_named() -> None:
    @every_row("text, number", [("1", 1), ("2", 1), ("three", 3), ("4", 4)])
    def test(text: str, number: int) -> None:
        assert int(text) == number
        with pytest.raises(ValueError, match="invalid"):
            int("" if number < 4 else text)

    with pytest.raises(BaseExceptionGroup, match="3 of 4 rows") as raised:
        test()
    notes = [note for failure in raised.value.exceptions for note in failure.__notes__]
    assert notes == ["The row is ('2', 1).", "The row is ('three', 3).", "The row is ('4', 4)."]


def test_table_without_rows_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="without rows"):
        every_row("value", [])
