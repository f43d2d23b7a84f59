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
from fileservice.web.errors import BadQuery
from fileservice.web.ordering import BY_NAME, Order
from fileservice.web.representations import record
from fileservice.web.security_headers import LIST_HEADERS
from fileservice.web.service import Service

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
    order: Order

    @classmethod
    def parse(cls, arguments: MultiDict[str, str]) -> "Query":
        """Read the query string's arguments. Raises BadQuery."""
        return cls(
            limit=_limit(arguments["limit"]) if "limit" in arguments else None,
            order=Order.parse(arguments.get("sort", "name")),
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

    def sorted_by(self, order: Order) -> str:
        """The query string that asks for the same files in another order, from the first on."""
        return self._encoded(order, "")

    def _encoded(self, order: Order, after: str) -> str:
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


def page(service: Service, query: Query, limit: int) -> Page:
    """The first `limit` files that `query` asks for. Raises BadQuery, TooManySearches.

    By name the store gives them in order; for any other order all that match are looked at.
    """
    with service.searches.turn() if query.searches else nullcontext():
        return service.executor.run_io(_page_by_name if query.order == BY_NAME else _page_in_order,
                               service, query, limit)  # fmt: skip


def _page_by_name(service: Service, query: Query, limit: int) -> Page:
    count = limit + 1
    files = list(islice(_matching(service, query, count), count))
    return Page(files[:limit], query.next(files[limit - 1]) if len(files) > limit else None)


def _page_in_order(service: Service, query: Query, limit: int) -> Page:
    """Every file is looked at in brief; only those on the page are described."""
    order = query.order
    matching = _few_enough(service.store.list(prefix=query.prefix, contains=query.q, brief=True))
    if query.after:
        last = order.place(query.after)
        matching = (file for file in matching if order.follows(file, last))
    pick = heapq.nlargest if order.descending else heapq.nsmallest
    picked = pick(limit + 1, matching, key=order.key)
    return Page(
        list(_described(service, picked[:limit])),
        query.next(picked[limit - 1]) if len(picked) > limit else None,
    )


def _described(service: Service, files: Iterable[StoredFile]) -> Iterator[StoredFile]:
    for file in files:
        with suppress(NotFound):  # deleted meanwhile
            yield service.store.describe(file)


def _few_enough(files: Iterator[StoredFile]) -> Iterator[StoredFile]:
    for number, file in enumerate(files):
        if number == MOST_SORTED:
            raise BadQuery(
                f"more than {MOST_SORTED} files would have to be sorted; narrow them with prefix or"
                " q, or take them by name"
            )
        yield file


def routes(service: Service) -> Blueprint:
    """The route for the list."""
    blueprint = Blueprint("listing", __name__)

    @blueprint.get("/download")
    def listing() -> Response:
        query = Query.parse(request.args)
        base = service.base_url()
        if query.limit is None:
            if query.order != BY_NAME:
                raise BadQuery("the whole list comes by name; for another order, say limit=")
            batches = _batches(service, query)
            first = next(batches)  # what fails at once is still answered as an error
            stream = _stream(chain((first,), batches), base)
            return Response(stream, mimetype="application/json", headers=LIST_HEADERS)
        found = page(service, query, query.limit)
        body = json.dumps([record(file, base) for file in found.files])
        response = Response(body, mimetype="application/json", headers=LIST_HEADERS)
        if found.next_query:
            url = f"{base}/download?{found.next_query}"
            response.headers["Link"] = f'<{url}>; rel="next"'
        return response

    return blueprint


def _matching(service: Service, query: Query, expected: int | None = None) -> Iterator[StoredFile]:
    return service.store.list(
        after=query.after, prefix=query.prefix, contains=query.q, expected=expected
    )


def _batches(service: Service, query: Query) -> Iterator[list[StoredFile]]:
    files, begun = _matching(service, query), False
    while True:
        with service.searches.turn(patient=begun) if query.searches else nullcontext():
            batch = service.executor.run_io(lambda: list(islice(files, _BATCH)))
        yield batch
        if len(batch) < _BATCH:
            return
        begun = True  # from here on the answer can be no other


def _stream(batches: Iterable[list[StoredFile]], base: str) -> Iterator[str]:
    yield "["
    separator = ""
    for batch in batches:
        if batch:
            yield separator + ",\n".join(json.dumps(record(file, base)) for file in batch)
            separator = ",\n"
    yield "]\n"


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= LARGEST_PAGE:
        return int(text)
    raise BadQuery(f"limit must be a whole number from 1 to {LARGEST_PAGE}")
