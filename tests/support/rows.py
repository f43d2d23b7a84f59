"""Tables whose rows are checked by one test."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

_FAILURES = (Exception, pytest.fail.Exception)


def every_row(
    names: str | Sequence[str], rows: Iterable[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test for every row, as `pytest.mark.parametrize` does, but as one test.

    It names every row that fails. To collect, to start and to report a test takes several
    milliseconds, and most rows take less. All rows have the same fixtures, so this is for tests
    that leave nothing behind.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    table = [tuple(row) if len(arguments) > 1 else (row,) for row in rows]
    assert table, "a test without rows cannot fail"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)
        fixtures = [p for name, p in signature.parameters.items() if name not in arguments]

        @functools.wraps(test)
        def test_rows(*args: Any, **options: Any) -> None:
            failures = []
            for row in table:
                try:
                    test(*args, **options, **dict(zip(arguments, row, strict=True)))
                except _FAILURES as failure:
                    failure.add_note(f"The row is {row!r}.")
                    failures.append(failure)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} rows", failures)

        test_rows.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return test_rows

    return decorate
