"""GET / and GET /upload: the page with the stored files and a form for uploads.

The page shows what its reader may do, and no more.
"""

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
from fileservice.storage import NotFound, StoredFile
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.responses import empty
from fileservice.web.routes import listing
from fileservice.web.routes.uploads import STORED_COOKIE
from fileservice.web.security_headers import PAGE_HEADERS
from fileservice.web.sort_order import SortOrder
from fileservice.web.urls import base_url

_PAGE_SIZE = 100
_MAX_PREVIEW_SIZE = 20 << 20
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
"""Images that are served inline and that browsers show; they do not show TIFF."""


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for the page."""
    blueprint = Blueprint("pages", __name__)
    blueprint.add_app_template_filter(preview_kind)

    @blueprint.get("/")
    @requires(Action.PUBLIC)
    def root() -> Response:
        return redirect(url_for("pages.upload_page"))  # type: ignore[return-value]

    @blueprint.get("/upload")
    @requires(Action.VIEW_PAGE)
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
        return listing.revalidated(response)

    return blueprint


def _list(dependencies: Dependencies, principal: Principal) -> dict[str, object]:
    """Return what the template needs for the list. Raises BadQuery, TooManySearches."""
    query = listing.Query.parse(request.args, principal.prefix)
    page = listing.read_page(dependencies, query, query.limit or _PAGE_SIZE)
    return {
        "files": page.files,
        "next_query": page.next_query,
        "first_query": query.first_page(query.order),
        "columns": {by: SortableColumn.of(query, by) for by in ("name", "size", "modified")},
        "query": query,
    }


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
    def of(cls, query: listing.Query, by: str) -> "SortableColumn":
        """Return the column whose link sorts by `by`.

        The link reverses the order if the list is sorted by the column. Otherwise it sorts names
        from a to z, and puts the largest or newest files first.
        """
        is_current = query.order.by == by
        descending = not query.order.descending if is_current else by != "name"
        return cls(is_current, query.first_page(SortOrder(by, descending=descending)))


def preview_kind(file: StoredFile) -> str | None:
    """Return how the page can show a file: as an `image`, in a `frame`, or not at all."""
    media_type, is_small = file.content.media_type, file.size <= _MAX_PREVIEW_SIZE
    if media_type == "application/pdf" or (media_type == "text/plain" and is_small):
        return "frame"
    return "image" if media_type in _IMAGE_TYPES and is_small else None
