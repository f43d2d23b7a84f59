"""GET / and GET /upload: the page with the stored files and a form for uploads.

The page shows what its reader may do, and no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from flask import Blueprint, Response, redirect, render_template, request, url_for

from fileservice.access import (
    Action,
    Forbidden,
    Principal,
    Scope,
    Unauthenticated,
    decide,
)
from fileservice.names import BadName, FileName
from fileservice.protocols.chunked_uploaders import is_chunk_test, reject_chunk
from fileservice.storage import NotFound
from fileservice.web import query_arguments
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.file_kinds import kind_of, preview_of
from fileservice.web.list_query import Query
from fileservice.web.responses import empty
from fileservice.web.revalidation import revalidated
from fileservice.web.routes.list_pages import Page, read_page
from fileservice.web.routes.uploads import STORED_COOKIE
from fileservice.web.security_headers import PAGE_HEADERS
from fileservice.web.sort_order import SortOrder
from fileservice.web.urls import base_url

_PAGE_SIZE = 100


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for the page."""
    blueprint = Blueprint("pages", __name__)
    blueprint.add_app_template_filter(kind_of)
    blueprint.add_app_template_filter(preview_of)

    @blueprint.get("/")
    @requires(Action.PUBLIC, query_arguments.ANY)
    def root() -> Response:
        return redirect(url_for("pages.upload_page"))  # type: ignore[return-value]

    @blueprint.get("/upload", strict_slashes=False)
    @requires(Action.VIEW_PAGE, query_arguments.ANY)
    def upload_page() -> Response:
        if is_chunk_test(request.args):
            reject_chunk(request.args)
            return empty(204)  # makes the uploader send the chunk, which is the whole file
        principal = principal_of(request.environ)
        html = render_template(
            "upload.html",
            may=principal.scopes,
            prefix=principal.prefix,
            just_stored=_just_stored(dependencies, principal),
            policy=dependencies.policy,
            base=base_url(dependencies.public_url),
            **(_list(dependencies, principal) if Scope.LIST in principal.scopes else {}),
        )
        response = Response(html, mimetype="text/html", headers=PAGE_HEADERS)
        if STORED_COOKIE in request.cookies:
            response.delete_cookie(
                STORED_COOKIE, path=url_for("pages.upload_page"), httponly=True, samesite="Lax"
            )
        description = url_for("description.openapi")
        response.headers["Link"] = f'<{description}>; rel="service-desc"'
        return revalidated(response)

    return blueprint


def _list(dependencies: Dependencies, principal: Principal) -> dict[str, object]:
    """Return what the template needs for the list. Raises BadQuery, TooManySearches."""
    query = Query.parse(request.args, principal.prefix)
    limit = query.limit or _PAGE_SIZE
    page = read_page(dependencies, query, limit)
    start = page.start if page.start is not None else _start(request.args)
    position = Position.of(page, start)
    return {
        "files": page.files,
        "position": position,
        "next_query": page.next_query and f"{page.next_query}&start={position.last}",
        "previous_query": page.previous_query
        and f"{page.previous_query}&start={max(0, start - limit)}",
        "first_query": query.first_page(query.order),
        "columns": {by: SortableColumn.of(query, by) for by in ("name", "size", "modified")},
        "query": query,
    }


def _start(arguments: Mapping[str, str]) -> int:
    """Return how many files precede a page, as the link to it said; it is only shown."""
    text = arguments.get("start", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@dataclass(frozen=True, slots=True)
class Position:
    """Which of the files that match are on the page, counted from 1."""

    first: int
    last: int
    total: int | None
    """How many match; None if that is unknown."""

    @classmethod
    def of(cls, page: Page, start: int) -> "Position":
        """Return the position of a page that `start` files precede."""
        last = start + len(page.files)
        total = page.total
        if total is None and not page.next_query:
            total = last
        return cls(start + 1, last, total)


@dataclass(frozen=True, slots=True)
class JustStored:
    """The file that the form of the page has just stored, and its size if the reader may know."""

    name: FileName
    size: int | None


def _just_stored(dependencies: Dependencies, principal: Principal) -> JustStored | None:
    """Return what the cookie says that the form has just stored, if it says something.

    Anybody can send such a cookie. The store is therefore only looked at for those who may read
    the file; all others are shown the name in the cookie, whether there is such a file or not.
    """
    try:
        name = FileName.parse(unquote(request.cookies[STORED_COOKIE]))
        decide(principal, Action.READ, name)
        return JustStored(name, dependencies.store.stat(name).size)
    except (Forbidden, Unauthenticated):
        return JustStored(name, None) if name.startswith(principal.prefix) else None
    except (KeyError, BadName, NotFound):
        return None


@dataclass(frozen=True, slots=True)
class SortableColumn:
    """A column of the list: whether the list is sorted by it, and the query string of its link."""

    is_current: bool
    query: str

    @classmethod
    def of(cls, query: Query, by: str) -> "SortableColumn":
        """Return the column whose link sorts by `by`.

        The link reverses the order if the list is sorted by the column. Otherwise it sorts names
        from a to z, and puts the largest or newest files first.
        """
        is_current = query.order.by == by
        descending = not query.order.descending if is_current else by != "name"
        return cls(is_current, query.first_page(SortOrder(by, descending=descending)))
