"""POST /upload, and POST or PUT /upload/<name>: the ways in."""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request, url_for

from fileservice.download.conditional import Outcome, evaluate
from fileservice.names import FileName
from fileservice.storage import NotFound
from fileservice.upload import Offer, Receipt, receive
from fileservice.web import body, resumable
from fileservice.web.chunks import PartialUpload, refuse_piece
from fileservice.web.digests import declared_digests, verified
from fileservice.web.forms import form_file
from fileservice.web.problems import PreconditionFailed
from fileservice.web.records import stored, validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions, prefers_html, raw_name
from fileservice.web.service import Service

STORED_COOKIE = "stored"
"""Carries the name of the file just stored from the answer to a form to the page."""
_COOKIE_SECONDS = 60
_FORM_OVERHEAD = 128 * 1024
"""A form may be larger than its file by this many bytes, and is not refused for it."""


def routes(service: Service) -> Blueprint:
    """The routes for uploads."""
    blueprint = Blueprint("uploads", __name__)

    @blueprint.post("/upload")
    def upload_form() -> Response:
        refuse_part()
        length = body.declared_length(request.environ)
        form = verified(
            body.blocks(request.environ, service.idle_timeout),
            declared_digests(request.headers),
            service.offload,
        )
        sent_name, blocks = form_file(request.headers.get("Content-Type", ""), form)
        offer = Offer(
            name=FileName.parse(sent_name),
            length=None,
            at_least=max(0, (length or 0) - _FORM_OVERHEAD),
            create_only=_create_only(),
        )
        receipt = take_in(offer, blocks)
        return (
            _back_to_page(receipt)
            if prefers_html()
            else stored(receipt.file, service.base_url(), created=receipt.created)
        )

    @blueprint.route(
        "/upload/<name:name>", methods=["POST", "PUT"], provide_automatic_options=False
    )
    def upload_raw(name: str) -> Response:  # noqa: ARG001  # see raw_name
        offer = Offer(
            name=FileName.parse_bytes(raw_name("/upload/")),
            length=body.declared_length(request.environ),
            digests=declared_digests(request.headers),
            create_only=_create_only(),
        )
        refuse_part()
        if resumable.wanted(request):
            check_conditions(offer.name)
            return resumable.begin(service, offer)
        receipt = take_in(offer, body.blocks(request.environ, service.idle_timeout))
        return stored(receipt.file, service.base_url(), created=receipt.created)

    @blueprint.route("/upload/<name:name>", methods=["OPTIONS"], provide_automatic_options=False)
    def upload_options(name: str) -> Response:  # noqa: ARG001  # the same for all
        return resumable.offered(service, ("OPTIONS", "POST", "PUT"))

    def refuse_part() -> None:
        if "Content-Range" in request.headers:
            raise PartialUpload
        refuse_piece(request.args)

    def take_in(offer: Offer, blocks: Iterable[memoryview]) -> Receipt:
        check_conditions(offer.name)
        service.sweep_when_due()
        return receive(
            offer, blocks, rules=service.rules, store=service.store, offload=service.offload
        )

    def check_conditions(name: FileName) -> None:
        if any(field in request.headers for field in CONDITIONAL_FIELDS):
            _check_conditions(service, name)

    return blueprint


def _create_only() -> bool:
    return request.headers.get("If-None-Match", "").strip() == "*"


def _check_conditions(service: Service, name: FileName) -> None:
    """Refuse an upload whose conditions do not hold (RFC 9110 section 13.1).

    All but If-None-Match: *, which only the store can decide when uploads race.
    """
    asked = conditions()
    if _create_only():
        asked = replace(asked, if_none_match=None)
    try:
        current = validators(service.store.stat(name))
    except NotFound:
        current = None
    if evaluate(request.method, asked, current) is not Outcome.PROCEED:
        raise PreconditionFailed


def _back_to_page(receipt: Receipt) -> Response:
    page = url_for("pages.upload_page")
    response: Response = redirect(page, 303)  # type: ignore[assignment]
    response.set_cookie(
        STORED_COOKIE,
        quote(receipt.file.name, safe=""),
        max_age=_COOKIE_SECONDS,
        path=page,
        httponly=True,
        samesite="Lax",
    )
    return response
