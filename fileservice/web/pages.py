"""The page for people: the stored files, and a form that uploads one."""

from datetime import UTC, datetime
from urllib.parse import unquote

from flask import Blueprint, Response, redirect, render_template, request, url_for

from fileservice.names import BadName, FileName
from fileservice.storage import NotFound, StoredFile
from fileservice.web import listing
from fileservice.web.security import PAGE_HEADERS
from fileservice.web.service import Service, download_url
from fileservice.web.uploads import STORED_COOKIE

_PAGE = 100
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def routes(service: Service) -> Blueprint:
    """The routes for the page."""
    blueprint = Blueprint("pages", __name__)
    blueprint.add_app_template_filter(human_size)
    blueprint.add_app_template_filter(utc)

    @blueprint.get("/")
    def root() -> Response:
        return redirect(url_for("pages.upload_page"))  # type: ignore[return-value]

    @blueprint.get("/upload")
    def upload_page() -> Response:
        query = listing.Query.parse(request.args)
        found = listing.page(service, query, query.limit or _PAGE)
        base = service.base_url()
        html = render_template(
            "upload.html",
            files=[(file, download_url(base, file.name)) for file in found.files],
            next_query=query.next(found.files[-1]) if found.more else None,
            query=query,
            stored=_just_stored(service),
            rules=service.rules,
            base=base,
        )
        response = Response(html, mimetype="text/html", headers=PAGE_HEADERS)
        response.headers["Cache-Control"] = "no-store"
        if STORED_COOKIE in request.cookies:
            response.delete_cookie(STORED_COOKIE, httponly=True, samesite="Lax")
        return response

    def _just_stored(service: Service) -> StoredFile | None:
        try:
            return service.store.stat(FileName.parse(unquote(request.cookies[STORED_COOKIE])))
        except (KeyError, BadName, NotFound):
            return None

    return blueprint


def human_size(size: int) -> str:
    """A size as people read it, such as 1.5 MiB."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def utc(seconds: int) -> datetime:
    """A point in time, given in seconds since the Unix epoch."""
    return datetime.fromtimestamp(seconds, UTC)
