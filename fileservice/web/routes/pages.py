"""The page for people: the stored files, and a form that uploads one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from flask import Blueprint, Response, redirect, render_template, request, url_for

from fileservice.names import BadName, FileName
from fileservice.protocols.chunked_uploaders import is_chunk_test, reject_chunk
from fileservice.storage import NotFound, StoredFile
from fileservice.web.ordering import Order
from fileservice.web.responses import empty
from fileservice.web.routes import listing
from fileservice.web.routes.uploads import STORED_COOKIE
from fileservice.web.security_headers import PAGE_HEADERS
from fileservice.web.service import Service

_PAGE = 100
_LARGEST_PREVIEW = 20 << 20
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
"""What browsers show of the images that are served inline: no TIFF."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def routes(service: Service) -> Blueprint:
    """The routes for the page."""
    blueprint = Blueprint("pages", __name__)
    blueprint.add_app_template_filter(human_size)
    blueprint.add_app_template_filter(previewed)
    blueprint.add_app_template_filter(utc)

    @blueprint.get("/")
    def root() -> Response:
        return redirect(url_for("pages.upload_page"))  # type: ignore[return-value]

    @blueprint.get("/upload")
    def upload_page() -> Response:
        if is_chunk_test(request.args):  # 204 has it sent
            reject_chunk(request.args)
            return empty(204)
        query = listing.Query.parse(request.args)
        found = listing.page(service, query, query.limit or _PAGE)
        html = render_template(
            "upload.html",
            files=found.files,
            next_query=found.next_query,
            first_query=query.sorted_by(query.order),
            sorts={by: Sort.offered(query, by) for by in ("name", "size", "modified")},
            query=query,
            stored=_just_stored(service),
            policy=service.policy,
            base=service.base_url(),
        )
        response = Response(html, mimetype="text/html", headers=PAGE_HEADERS)
        response.headers["Cache-Control"] = "no-store"
        if STORED_COOKIE in request.cookies:
            response.delete_cookie(
                STORED_COOKIE, path=url_for("pages.upload_page"), httponly=True, samesite="Lax"
            )
        return response

    def _just_stored(service: Service) -> StoredFile | None:
        try:
            return service.store.stat(FileName.parse(unquote(request.cookies[STORED_COOKIE])))
        except (KeyError, BadName, NotFound):
            return None

    return blueprint


@dataclass(frozen=True, slots=True)
class Sort:
    """A column by which the list can be sorted: whether it is, and the query that sorts by it."""

    current: bool
    query: str

    @classmethod
    def offered(cls, query: listing.Query, by: str) -> "Sort":
        """Names from a to z at first, what is largest or newest first, the other way round next."""
        current = query.order.by == by
        descending = not query.order.descending if current else by != "name"
        return cls(current, query.sorted_by(Order(by, descending=descending)))


def previewed(file: StoredFile) -> str | None:
    """How the page shows a file in place: `image` or `frame`, or not at all."""
    media_type, small = file.content.media_type, file.size <= _LARGEST_PREVIEW
    if media_type == "application/pdf" or (media_type == "text/plain" and small):
        return "frame"
    return "image" if media_type in _IMAGES and small else None


def human_size(size: int) -> str:
    """A size as people read it, such as 1.5 MiB."""
    if size == 1:
        return "1 byte"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def utc(seconds: int) -> datetime:
    """A point in time, given in seconds since the Unix epoch."""
    return datetime.fromtimestamp(seconds, UTC)
