"""GET /download: list the stored files, all of them or one page."""

import hashlib
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

from fileservice.access import Action
from fileservice.storage import NotFound, Store, StoredFile
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import BadQuery
from fileservice.web.representations import to_json
from fileservice.web.security_headers import LIST_HEADERS
from fileservice.web.sort_order import BY_NAME, SortOrder
from fileservice.web.urls import base_url

_BATCH_SIZE = 250
"""Files that are read from the store in one call while the whole list is sent."""
MAX_PAGE_SIZE = 10_000
MAX_SORTED = 250_000
"""Files that may be sorted for a page in another order than by name."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which files a request asks for; the section "Listing" of docs/http.md has the meaning."""

    limit: int | None
    after: str
    prefix: str
    q: str
    order: SortOrder
    within: str
    """The prefix of all names that the reader may see."""

    @classmethod
    def parse(cls, arguments: MultiDict[str, str], within: str) -> "Query":
        """Parse the arguments of the query string. Raises BadQuery."""
        return cls(
            limit=_parse_limit(arguments["limit"]) if "limit" in arguments else None,
            order=SortOrder.parse(arguments.get("sort", "name")),
            within=within,
            **{
                name: unicodedata.normalize("NFC", arguments.get(name, ""))
                for name in ("after", "prefix", "q")
            },
        )

    def matching(
        self, store: Store, *, expected: int | None = None, brief: bool = False
    ) -> Iterator[StoredFile]:
        """Return the files that are asked for and visible, by name; see `Store.list`.

        The store reads no names but those with both prefixes, so neither the result nor its cost
        depends on files that the reader may not see.
        """
        shorter, longer = sorted((self.prefix, self.within), key=len)
        if not longer.startswith(shorter):
            return iter(())
        return store.list(
            # A cursor of another order than by name has no meaning to the store.
            after=self.after if self.order == BY_NAME else "",
            prefix=longer,
            contains=self.q,
            expected=expected,
            brief=brief,
        )

    @property
    def is_search(self) -> bool:
        """Whether the store must read files that are not in the response."""
        return bool(self.q) or self.order != BY_NAME

    def next_page(self, last: StoredFile) -> str:
        """Return the query string for the files that follow `last`."""
        return self._encode(self.order, self.order.cursor(last))

    def first_page(self, order: SortOrder) -> str:
        """Return the query string for the first page of the same files in another order."""
        return self._encode(order, "")

    def _encode(self, order: SortOrder, after: str) -> str:
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
    """Some files, and the query string for those that follow; None on the last page."""

    files: list[StoredFile]
    next_query: str | None


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the route for the list."""
    blueprint = Blueprint("listing", __name__)

    @blueprint.get("/download")
    @requires(Action.LIST)
    def listing() -> Response:
        query = Query.parse(request.args, principal_of(request.environ).prefix)
        base = base_url(dependencies.public_url)
        if query.limit is None:
            return _whole_list(dependencies, query, base)
        page = read_page(dependencies, query, query.limit)
        body = json.dumps([to_json(file, base) for file in page.files])
        response = _list_response(body)
        if page.next_query:
            response.headers["Link"] = f'<{base}/download?{page.next_query}>; rel="next"'
        return revalidated(response)

    return blueprint


def read_page(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Return the first `limit` files of a query. Raises BadQuery, TooManySearches.

    The store lists files by name; for any other order, all files that match are read and sorted.
    """
    with dependencies.search_limit.slot() if query.is_search else nullcontext():
        read = _read_by_name if query.order == BY_NAME else _read_in_order
        return dependencies.executor.run_io(read, dependencies, query, limit)


def _read_by_name(dependencies: Dependencies, query: Query, limit: int) -> Page:
    count = limit + 1
    files = list(islice(query.matching(dependencies.store, expected=count), count))
    next_query = query.next_page(files[limit - 1]) if len(files) > limit else None
    return Page(files[:limit], next_query)


def _read_in_order(dependencies: Dependencies, query: Query, limit: int) -> Page:
    """Sort brief descriptions of all files that match, and describe those on the page in full."""
    order = query.order
    matching = _at_most_max_sorted(query.matching(dependencies.store, brief=True))
    if query.after:
        position = order.parse_cursor(query.after)
        matching = (file for file in matching if order.is_after(file, position))
    select = heapq.nlargest if order.descending else heapq.nsmallest
    selected = select(limit + 1, matching, key=order.key)
    next_query = query.next_page(selected[limit - 1]) if len(selected) > limit else None
    return Page(list(_described(dependencies, selected[:limit])), next_query)


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


def _whole_list(dependencies: Dependencies, query: Query, base: str) -> Response:
    """Return a response that reads and sends the list in batches."""
    if query.order != BY_NAME:
        raise BadQuery("the whole list is sorted by name; for another order, send limit=")
    batches = _batches(dependencies, query)
    first = next(batches)  # read now, since an error can still be reported
    body = _encode_batches(chain((first,), batches), base)
    if len(first) < _BATCH_SIZE:
        return revalidated(_list_response("".join(body)))
    return _list_response(body)


def _list_response(body: str | Iterator[str]) -> Response:
    return Response(body, mimetype="application/json", headers=LIST_HEADERS)


def revalidated(response: Response) -> Response:
    """Return a response with a weak entity tag, or 304 if the client has it (RFC 9110 8.8.3).

    The tag is made of the body and of what the body depends on beside the store.
    """
    tag = hashlib.sha256(response.get_data())
    tag.update(response.headers.get("Link", "").encode())
    response.set_etag(tag.hexdigest()[:32], weak=True)
    response.make_conditional(request)
    return response


def _batches(dependencies: Dependencies, query: Query) -> Iterator[list[StoredFile]]:
    files, has_begun = query.matching(dependencies.store), False
    while True:
        # A search that has begun waits for a slot however long it takes: the status is sent.
        slot = dependencies.search_limit.slot(wait_forever=has_begun)
        with slot if query.is_search else nullcontext():
            batch = dependencies.executor.run_io(lambda: list(islice(files, _BATCH_SIZE)))
        yield batch
        if len(batch) < _BATCH_SIZE:
            return
        has_begun = True


def _encode_batches(batches: Iterable[list[StoredFile]], base: str) -> Iterator[str]:
    yield "["
    separator = ""
    for batch in batches:
        if batch:
            yield separator + ",\n".join(json.dumps(to_json(file, base)) for file in batch)
            separator = ",\n"
    yield "]\n"


def _parse_limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= MAX_PAGE_SIZE:
        return int(text)
    raise BadQuery(f"limit must be a whole number from 1 to {MAX_PAGE_SIZE}")
