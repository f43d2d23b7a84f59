"""One page of the list of stored files, in any order, forwards and backwards."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, takewhile

from fileservice.storage import NotFound, StoredFile
from fileservice.web.dependencies import Dependencies
from fileservice.web.errors import BadQuery
from fileservice.web.list_query import Query
from fileservice.web.sort_order import BY_NAME

MAX_SORTED = 250_000
"""Files that may be read for one page."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some files, and the query strings for those that follow and precede them, if any do."""

    files: list[StoredFile]
    next_query: str | None
    previous_query: str | None
    start: int | None = None
    """How many files precede these; None if that was not counted."""
    total: int | None = None
    """How many files match; None if they were not counted."""


def read_page(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Return the first `limit` files of a query, or the last ones before its `before`.

    The store lists files by name, forwards. For anything else, all files that match are read and
    sorted. Raises BadQuery, TooManySearches.
    """
    if not query.is_search:
        return dependencies.executor.run_busy_io(_read_by_name, dependencies, query, limit)
    with dependencies.search_limit.slot():
        if query.before:
            read = _read_backwards
        else:
            read = _read_by_name if query.order == BY_NAME else _read_in_order
        return dependencies.executor.run_io(read, dependencies, query, limit)


def _read_by_name(dependencies: Dependencies, query: Query, limit: int) -> Page:
    count = limit + 1
    files = list(islice(query.matching(dependencies.store, expected=count), count))
    has_next = len(files) > limit
    files = files[:limit]
    is_whole = not query.after and not has_next
    return Page(
        files,
        query.next_page(files[-1]) if has_next else None,
        query.previous_page(files[0]) if query.after and files else None,
        start=None if query.after else 0,
        total=len(files) if is_whole else None,
    )


def _read_in_order(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Sort brief descriptions of all files that match, and describe those on the page in full."""
    order = query.order
    matching = _Counted(_at_most_max_sorted(query.matching(dependencies.store, brief=True)))
    remaining = matching
    if query.after:
        position = order.parse_cursor(query.after)
        remaining = _Counted(file for file in matching if order.is_after(file, position))
    select = heapq.nlargest if order.descending else heapq.nsmallest
    selected = select(limit + 1, remaining, key=order.key)
    has_next = len(selected) > limit
    selected = selected[:limit]
    start = matching.count - remaining.count
    return Page(
        list(_described(dependencies, selected)),
        query.next_page(selected[-1]) if has_next else None,
        query.previous_page(selected[0]) if start and selected else None,
        start=start,
        total=matching.count,
    )


def _read_backwards(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Return the last files before a position, as `_read_in_order` those after one."""
    order, position = query.order, query.order.parse_cursor(query.before)
    matching = _at_most_max_sorted(query.matching(dependencies.store, brief=True))
    if order == BY_NAME:
        matching = takewhile(lambda file: order.is_before(file, position), matching)
    preceding = _Counted(file for file in matching if order.is_before(file, position))
    select = heapq.nsmallest if order.descending else heapq.nlargest
    selected = select(limit, preceding, key=order.key)[::-1]
    start = preceding.count - len(selected)
    return Page(
        list(_described(dependencies, selected)),
        query.next_page(selected[-1]) if selected else None,
        query.previous_page(selected[0]) if start else None,
        start=start,
    )


class _Counted:
    """Files, and how many of them were read."""

    def __init__(self, files: Iterable[StoredFile]) -> None:
        self._files = files
        self.count = 0

    def __iter__(self) -> Iterator[StoredFile]:
        for file in self._files:
            self.count += 1
            yield file


def _described(dependencies: Dependencies, files: Iterable[StoredFile]) -> Iterator[StoredFile]:
    for file in files:
        with suppress(NotFound):  # it was deleted meanwhile
            yield dependencies.store.describe(file)


def _at_most_max_sorted(files: Iterator[StoredFile]) -> Iterator[StoredFile]:
    for number, file in enumerate(files):
        if number == MAX_SORTED:
            raise BadQuery(
                f"more than {MAX_SORTED} files would have to be sorted; narrow them with prefix or"
                " q, or take them by name"
            )
        yield file
