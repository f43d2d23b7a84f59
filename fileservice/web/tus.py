"""/tus/: resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, request

from fileservice.download.conditional import format_date
from fileservice.names import FileName
from fileservice.upload import Offer
from fileservice.upload.resume import Status
from fileservice.web import body, tus_fields
from fileservice.web.answers import empty
from fileservice.web.digests import declared_digests
from fileservice.web.records import representation_headers
from fileservice.web.requests import client_address, interrupt_of, raw_name
from fileservice.web.service import Service, download_url

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)


def routes(service: Service) -> Blueprint:
    """The routes of tus."""
    blueprint = Blueprint("tus", __name__)
    uploads = service.resumption
    upload_path = f"{tus_fields.PREFIX}<name:upload>"

    @blueprint.before_request
    def check_version() -> None:
        if request.method != "OPTIONS" and (
            request.headers.get("Tus-Resumable") != tus_fields.VERSION
        ):
            raise tus_fields.WrongVersion

    @blueprint.route(tus_fields.PREFIX, methods=["OPTIONS"], provide_automatic_options=False)
    @blueprint.route(upload_path, methods=["OPTIONS"], provide_automatic_options=False)
    def capabilities(upload: str = "") -> Response:  # noqa: ARG001  # the same for all
        return empty(
            204,
            {
                "Tus-Version": tus_fields.VERSION,
                "Tus-Extension": ",".join(_EXTENSIONS),
                "Tus-Max-Size": str(service.rules.max_size),
                "Tus-Checksum-Algorithm": ",".join(tus_fields.CHECKSUMS),
            },
        )

    @blueprint.post(tus_fields.PREFIX)
    def create() -> Response:
        service.sweep_when_due()
        parts = tus_fields.parts(request.headers)
        labels = {
            field: request.headers[field]
            for field in ("Upload-Metadata", "Upload-Concat")
            if field in request.headers
        }
        if parts:
            if "Upload-Length" in request.headers or "Upload-Defer-Length" in request.headers:
                raise tus_fields.BadField("a final upload has the length of its parts")
            found = uploads.join(_offer(None), parts, labels)
            return _answer(201, found, {"Location": _url(found)})
        length = tus_fields.length(request.headers)
        blocks, coming = _first_bytes()
        if parts is None:
            offer: Offer | None = _offer(length)
        else:
            tus_fields.metadata(request.headers)
            offer = None
        checksum = tus_fields.Checksum.parse(request.headers)
        found = uploads.create(offer, length, labels, client=client_address(request.environ))
        if coming != 0 and not found.record.finished:
            try:
                found = uploads.append(
                    found.upload,
                    0,
                    checksum.verified(blocks, service.offload) if checksum else blocks,
                    coming=coming,
                    interrupt=interrupt_of(request.environ),
                    whole=checksum is not None,
                )
            except BaseException:
                uploads.discard(found.upload)  # the client will never learn where it was
                raise
        return _answer(201, found, {"Location": _url(found)})

    @blueprint.route(upload_path, methods=["HEAD"])
    def head(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        found = uploads.status(_upload())
        length = found.record.length
        return _answer(
            200,
            found,
            {"Cache-Control": "no-store"}
            | dict(found.record.labels)
            | ({"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}),
        )

    @blueprint.patch(upload_path)
    def append(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        body.require_content_type(request.environ, tus_fields.CONTENT_TYPE)
        checksum = tus_fields.Checksum.parse(request.headers)
        blocks: Iterable[memoryview] = body.blocks(request.environ, service.idle_timeout)
        found = uploads.append(
            _upload(),
            tus_fields.offset(request.headers),
            checksum.verified(blocks, service.offload) if checksum else blocks,
            coming=body.declared_length(request.environ),
            interrupt=interrupt_of(request.environ),
            length=tus_fields.number(request.headers, "Upload-Length"),
            whole=checksum is not None,
        )
        return _answer(204, found, {})

    @blueprint.delete(upload_path)
    def terminate(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        uploads.cancel(_upload(), at_once=True)
        return empty(204)

    def _first_bytes() -> tuple[Iterable[memoryview], int | None]:
        """The body of a creation, and its length; None while that is unknown."""
        environ = request.environ
        if not environ.get("CONTENT_LENGTH") and not environ.get("HTTP_TRANSFER_ENCODING"):
            return (), 0
        coming = body.declared_length(environ)
        if coming != 0:
            body.require_content_type(request.environ, tus_fields.CONTENT_TYPE)
        return body.blocks(environ, service.idle_timeout), coming

    def _answer(status: int, found: Status, fields: dict[str, str]) -> Response:
        fields = fields | {"Upload-Offset": str(found.offset)}
        file = found.record.finished
        if file:
            fields |= representation_headers(file)
            fields["Content-Location"] = download_url(service.base_url(), file.name)
        else:
            fields["Upload-Expires"] = format_date(int(found.expires))
        return empty(status, fields)

    def _url(found: Status) -> str:
        return f"{service.base_url()}{tus_fields.PREFIX}{found.upload}"

    return blueprint


def register(app: Flask) -> None:
    """Have every answer under /tus/ say so, errors included, and the method be overridden."""

    @app.after_request
    def say_version(response: Response) -> Response:
        if request.path.startswith(tus_fields.PREFIX):
            response.headers["Tus-Resumable"] = tus_fields.VERSION
        return response

    app.wsgi_app = MethodOverride(app.wsgi_app)  # type: ignore[method-assign]


class MethodOverride:
    """WSGI middleware for clients that cannot send PATCH or DELETE: X-HTTP-Method-Override."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
        if not method or not environ.get("PATH_INFO", "").startswith(tus_fields.PREFIX):
            return self._app(environ, start_response)
        sent, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], method.upper()
        if environ["REQUEST_METHOD"] != "HEAD" or sent == "HEAD":
            return self._app(environ, start_response)

        def start_without_body(
            status: str, headers: list[tuple[str, str]], *more: Any
        ) -> Callable[[bytes], object]:
            # The answer to a HEAD has no body, and the length of one all the same.
            fields = [field for field in headers if field[0].lower() != "content-length"]
            return start_response(status, [*fields, ("Content-Length", "0")], *more)

        return self._app(environ, start_without_body)


def _offer(length: int | None) -> Offer:
    filename = tus_fields.metadata(request.headers).get("filename", b"")
    return Offer(FileName.parse_bytes(filename), length, digests=declared_digests(request.headers))


def _upload() -> str:
    return raw_name(tus_fields.PREFIX).decode("latin-1")
