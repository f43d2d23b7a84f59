"""GET /download: the stored files, whole or a page at a time."""

import heapq
import json
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import chain, islice
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from fileservice.storage import NotFound, StoredFile
from fileservice.web.dependencies import Dependencies
from fileservice.web.errors import BadQuery
from fileservice.web.representations import to_json
from fileservice.web.security_headers import LIST_HEADERS
from fileservice.web.sort_order import BY_NAME, SortOrder
from fileservice.web.urls import base_url

_BATCH = 250
LARGEST_PAGE = 10_000
MOST_SORTED = 250_000
"""Files looked at for a page in another order than by name."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which files are asked for; see "Listing" in the contract."""

    limit: int | None
    after: str
    prefix: str
    q: str
    order: SortOrder

    @classmethod
    def parse(cls, arguments: MultiDict[str, str]) -> "Query":
        """Read the query string's arguments. Raises BadQuery."""
        return cls(
            limit=_limit(arguments["limit"]) if "limit" in arguments else None,
            order=SortOrder.parse(arguments.get("sort", "name")),
            **{
                name: unicodedata.normalize("NFC", arguments.get(name, ""))
                for name in ("after", "prefix", "q")
            },
        )

    @property
    def searches(self) -> bool:
        """Whether files are looked at that are not in the answer."""
        return bool(self.q) or self.order != BY_NAME

    def next(self, last: StoredFile) -> str:
        """The query string that asks for what follows `last`."""
        return self._encoded(self.order, self.order.cursor(last))

    def sorted_by(self, order: SortOrder) -> str:
        """The query string that asks for the same files in another order, from the first on."""
        return self._encoded(order, "")

    def _encoded(self, order: SortOrder, after: str) -> str:
        fields = {
            "limit": self.limit,
            "prefix": self.prefix,
            "q": self.q,
            "sort": str(order) if order != BY_NAME else "",
            "after": after,
        }
        return urlencode({name: value for name, value in fields.items() if value})


@dataclass(frozen=True, slots=True)
class Page:
    """Some files, and the query string that asks for what follows; None at the end."""

    files: list[StoredFile]
    next_query: str | None


def page(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """The first `limit` files that `query` asks for. Raises BadQuery, TooManySearches.

    By name the store gives them in order; for any other order all that match are looked at.
    """
    with dependencies.search_limit.slot() if query.searches else nullcontext():
        make_page = _page_by_name if query.order == BY_NAME else _page_in_order
        return dependencies.executor.run_io(make_page, dependencies, query, limit)


def _page_by_name(dependencies: Dependencies, query: Query, limit: int) -> Page:
    count = limit + 1
    files = list(islice(_matching(dependencies, query, count), count))
    return Page(files[:limit], query.next(files[limit - 1]) if len(files) > limit else None)


def _page_in_order(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Every file is looked at in brief; only those on the page are described."""
    order = query.order
    matching = _few_enough(
        dependencies.store.list(prefix=query.prefix, contains=query.q, brief=True)
    )
    if query.after:
        last = order.parse_cursor(query.after)
        matching = (file for file in matching if order.is_after(file, last))
    pick = heapq.nlargest if order.descending else heapq.nsmallest
    picked = pick(limit + 1, matching, key=order.key)
    return Page(
        list(_described(dependencies, picked[:limit])),
        query.next(picked[limit - 1]) if len(picked) > limit else None,
    )


def _described(dependencies: Dependencies, files: Iterable[StoredFile]) -> Iterator[StoredFile]:
    for file in files:
        with suppress(NotFound):  # deleted meanwhile
            yield dependencies.store.describe(file)


def _few_enough(files: Iterator[StoredFile]) -> Iterator[StoredFile]:
    for number, file in enumerate(files):
        if number == MOST_SORTED:
            raise BadQuery(
                f"more than {MOST_SORTED} files would have to be sorted; narrow them with prefix or"
                " q, or take them by name"
            )
        yield file


def routes(dependencies: Dependencies) -> Blueprint:
    """The route for the list."""
    blueprint = Blueprint("listing", __name__)

    @blueprint.get("/download")
    def listing() -> Response:
        query = Query.parse(request.args)
        base = base_url(dependencies.public_url)
        if query.limit is None:
            if query.order != BY_NAME:
                raise BadQuery("the whole list comes by name; for another order, say limit=")
            batches = _batches(dependencies, query)
            first = next(batches)  # what fails at once is still answered as an error
            stream = _stream(chain((first,), batches), base)
            return Response(stream, mimetype="application/json", headers=LIST_HEADERS)
        found = page(dependencies, query, query.limit)
        body = json.dumps([to_json(file, base) for file in found.files])
        response = Response(body, mimetype="application/json", headers=LIST_HEADERS)
        if found.next_query:
            url = f"{base}/download?{found.next_query}"
            response.headers["Link"] = f'<{url}>; rel="next"'
        return response

    return blueprint


def _matching(
    dependencies: Dependencies, query: Query, expected: int | None = None
) -> Iterator[StoredFile]:
    return dependencies.store.list(
        after=query.after, prefix=query.prefix, contains=query.q, expected=expected
    )


def _batches(dependencies: Dependencies, query: Query) -> Iterator[list[StoredFile]]:
    files, begun = _matching(dependencies, query), False
    while True:
        with (
            dependencies.search_limit.slot(wait_forever=begun) if query.searches else nullcontext()
        ):
            batch = dependencies.executor.run_io(lambda: list(islice(files, _BATCH)))
        yield batch
        if len(batch) < _BATCH:
            return
        begun = True  # from here on the answer can be no other


def _stream(batches: Iterable[list[StoredFile]], base: str) -> Iterator[str]:
    yield "["
    separator = ""
    for batch in batches:
        if batch:
            yield separator + ",\n".join(json.dumps(to_json(file, base)) for file in batch)
            separator = ",\n"
    yield "]\n"


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= LARGEST_PAGE:
        return int(text)
    raise BadQuery(f"limit must be a whole number from 1 to {LARGEST_PAGE}")
