"""/tus/: resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, request

from fileservice import wsgi_extensions
from fileservice.names import FileName
from fileservice.protocols import tus
from fileservice.protocols.conditional import format_date
from fileservice.protocols.digests import declared_digests
from fileservice.protocols.errors import BadField, ChecksumMismatch, UnsupportedVersion
from fileservice.upload import UploadRequest
from fileservice.upload.resumable.service import Status
from fileservice.upload.verified_blocks import verified_blocks
from fileservice.web import request_body
from fileservice.web.middleware.method_override import MethodOverride
from fileservice.web.representations import representation_headers
from fileservice.web.requests import client_address, raw_name
from fileservice.web.responses import empty
from fileservice.web.service import Service, download_url

if TYPE_CHECKING:
    pass

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
    uploads = service.resumable_uploads
    upload_path = f"{tus.PREFIX}<name:upload>"

    @blueprint.before_request
    def check_version() -> None:
        if request.method != "OPTIONS" and (request.headers.get("Tus-Resumable") != tus.VERSION):
            raise UnsupportedVersion(tus.VERSION)

    @blueprint.route(tus.PREFIX, methods=["OPTIONS"], provide_automatic_options=False)
    @blueprint.route(upload_path, methods=["OPTIONS"], provide_automatic_options=False)
    def capabilities(upload: str = "") -> Response:  # noqa: ARG001  # the same for all
        return empty(
            204,
            {
                "Tus-Version": tus.VERSION,
                "Tus-Extension": ",".join(_EXTENSIONS),
                "Tus-Max-Size": str(service.policy.max_size),
                "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
            },
        )

    @blueprint.post(tus.PREFIX)
    def create() -> Response:
        service.sweep_when_due()
        parts = tus.parts(request.headers)
        protocol_metadata = {
            field: request.headers[field]
            for field in ("Upload-Metadata", "Upload-Concat")
            if field in request.headers
        }
        if parts:
            if "Upload-Length" in request.headers or "Upload-Defer-Length" in request.headers:
                raise BadField("a final upload has the length of its parts")
            found = uploads.concatenate(_upload_request(None), parts, protocol_metadata)
            return _answer(201, found, {"Location": _url(found)})
        length = tus.length(request.headers)
        blocks, content_length = _first_bytes()
        if parts is None:
            upload_request: UploadRequest | None = _upload_request(length)
        else:
            tus.metadata(request.headers)
            upload_request = None
        checksum = tus.Checksum.parse(request.headers)
        found = uploads.create(
            upload_request, length, protocol_metadata, client=client_address(request.environ)
        )
        if content_length != 0 and not found.record.finished:
            try:
                found = uploads.append(
                    found.upload,
                    0,
                    _verified(blocks, checksum, service) if checksum else blocks,
                    content_length=content_length,
                    interrupt=wsgi_extensions.request_body(request.environ).interrupt,
                    atomic=checksum is not None,
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
            | dict(found.record.protocol_metadata)
            | ({"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}),
        )

    @blueprint.patch(upload_path)
    def append(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        request_body.require_content_type(request.environ, tus.CONTENT_TYPE)
        checksum = tus.Checksum.parse(request.headers)
        blocks: Iterable[memoryview] = request_body.blocks(request.environ, service.idle_timeout)
        found = uploads.append(
            _upload(),
            tus.offset(request.headers),
            _verified(blocks, checksum, service) if checksum else blocks,
            content_length=request_body.declared_length(request.environ),
            interrupt=wsgi_extensions.request_body(request.environ).interrupt,
            length=tus.number(request.headers, "Upload-Length"),
            atomic=checksum is not None,
        )
        return _answer(204, found, {})

    @blueprint.delete(upload_path)
    def terminate(upload: str) -> Response:  # noqa: ARG001  # see raw_name
        uploads.cancel(_upload(), preempt=True)
        return empty(204)

    def _first_bytes() -> tuple[Iterable[memoryview], int | None]:
        """The body of a creation, and its length; None while that is unknown."""
        environ = request.environ
        if not environ.get("CONTENT_LENGTH") and not environ.get("HTTP_TRANSFER_ENCODING"):
            return (), 0
        content_length = request_body.declared_length(environ)
        if content_length != 0:
            request_body.require_content_type(request.environ, tus.CONTENT_TYPE)
        return request_body.blocks(environ, service.idle_timeout), content_length

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
        return f"{service.base_url()}{tus.PREFIX}{found.upload}"

    return blueprint


def register(app: Flask) -> None:
    """Have every answer under /tus/ say so, errors included, and the method be overridden."""

    @app.after_request
    def say_version(response: Response) -> Response:
        if request.path.startswith(tus.PREFIX):
            response.headers["Tus-Resumable"] = tus.VERSION
        return response

    app.wsgi_app = MethodOverride(app.wsgi_app)  # type: ignore[method-assign]


def _verified(
    blocks: Iterable[memoryview], checksum: tus.Checksum, service: Service
) -> Iterable[memoryview]:
    declared = {checksum.algorithm: checksum.digest}
    return verified_blocks(blocks, declared, service.executor, lambda _: ChecksumMismatch())


def _upload_request(length: int | None) -> UploadRequest:
    filename = tus.metadata(request.headers).get("filename", b"")
    return UploadRequest(
        FileName.parse_bytes(filename), length, digests=declared_digests(request.headers)
    )


def _upload() -> str:
    return raw_name(tus.PREFIX).decode("latin-1")
