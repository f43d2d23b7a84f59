"""GET /download: list the stored files, all of them or one page."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from flask import Blueprint, Response, request

from fileservice.access import Action
from fileservice.storage import StoredFile
from fileservice.web import query_arguments
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import BadQuery
from fileservice.web.list_query import Query
from fileservice.web.representations import to_json
from fileservice.web.revalidation import revalidated
from fileservice.web.routes.list_pages import read_page
from fileservice.web.security_headers import LIST_HEADERS
from fileservice.web.sort_order import BY_NAME
from fileservice.web.urls import base_url

BATCH_SIZE = 250
"""Files that are read from the store in one call while the whole list is sent."""


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the route for the list."""
    blueprint = Blueprint("listing", __name__)

    @blueprint.get("/download", strict_slashes=False)
    @requires(Action.LIST, query_arguments.OF_LISTS)
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


def _whole_list(dependencies: Dependencies, query: Query, base: str) -> Response:
    """Return a response that reads and sends the list in batches."""
    if query.before:
        raise BadQuery("before= selects a page; send limit= with it")
    if query.order != BY_NAME:
        raise BadQuery("the whole list is sorted by name; for another order, send limit=")
    batches = read_batches(dependencies, query)
    first = next(batches)  # read now, since an error can still be reported
    body = _encode_batches(chain((first,), batches), base)
    if len(first) < BATCH_SIZE:
        return revalidated(_list_response("".join(body)))
    return _list_response(body)


def _list_response(body: str | Iterator[str]) -> Response:
    return Response(body, mimetype="application/json", headers=LIST_HEADERS)


def read_batches(dependencies: Dependencies, query: Query) -> Iterator[list[StoredFile]]:
    """Read all files of a query in their order, in batches of the same size but for the last one.

    There is always a batch, which may be empty.
    """
    files, has_begun = query.matching(dependencies.store), False
    while True:
        if query.is_search:
            # Once it has begun, it waits for a slot however long it takes: the status is sent.
            with dependencies.search_limit.slot(wait_forever=has_begun):
                batch = dependencies.executor.run_io(_next_batch, files)
        else:
            batch = dependencies.executor.run_busy_io(_next_batch, files)
        yield batch
        if len(batch) < BATCH_SIZE:
            return
        has_begun = True


def _next_batch(files: Iterator[StoredFile]) -> list[StoredFile]:
    return list(islice(files, BATCH_SIZE))


def _encode_batches(batches: Iterable[list[StoredFile]], base: str) -> Iterator[str]:
    yield "["
    separator = ""
    for batch in batches:
        if batch:
            yield separator + ",\n".join(json.dumps(to_json(file, base)) for file in batch)
            separator = ",\n"
    yield "]\n"
