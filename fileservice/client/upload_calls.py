"""UploadCalls: the requests that bring a file to the service, and what their answers mean.

docs/http.md has them under Uploading and Resuming.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import requests

from fileservice.client.address import Address
from fileservice.client.body import FileBody
from fileservice.client.connection import Connection, read_json
from fileservice.client.errors import ClientError, DigestMismatch, Refused
from fileservice.client.upload_state import default_directory
from fileservice.client.upload_step import UploadStep
from fileservice.protocols.digests import digest_of
from fileservice.protocols.errors import BadDigestHeader
from fileservice.protocols.resumable_draft import CONTENT_TYPE, complete

_OFFSET_ERRORS = ("mismatching-upload-offset", "completed-upload")
"""The service has other bytes than the client believes, which HEAD tells."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where files are sent, and how."""

    connection: Connection
    address: Address
    retry_seconds: float
    """For how long to go on without any progress."""
    expires: str = ""
    """When the files expire, as docs/http.md has it; empty for the service's own time."""
    replaces: bool = False
    """Whether a file may take the place of another one."""
    state_directory: Path = field(default_factory=default_directory)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that the service has."""

    url: str
    size: int
    sha256: bytes
    is_new: bool
    """False if the service had this very file under this name before."""


@dataclass(frozen=True, slots=True)
class SentBytes:
    """The bytes that the file will have once it is complete, or has so far."""

    size: int
    sha256: bytes


class UploadCalls:
    """The requests of the upload of one file. Each may raise ClientError."""

    def __init__(self, target: UploadTarget, name: str, source: str) -> None:
        """`source` is what the bytes are read from, for people."""
        self._target = target
        self._connection = target.connection
        self._name = name
        self._source = source
        self.url = target.address.url("upload", name)

    def create(
        self, fields: Mapping[str, str], body: Callable[[], bytes | FileBody] = bytes
    ) -> requests.Response:
        """Make the first request. A file that may replace another one need not find one.

        `body` makes the body, once for each request that has it.
        """
        if self._target.replaces:
            try:
                return self._put({**fields, "If-Match": "*"}, body())
            except Refused as error:
                if error.status != HTTPStatus.PRECONDITION_FAILED:
                    raise
        return self._put(fields, body())

    def id_of(self, response: requests.Response) -> str:
        """Return the id of the upload that a response has begun.

        Only the id counts: a service behind a proxy may not know how it is reached.
        """
        found = response.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        if not found:
            raise ClientError(f"{self.url} does not begin an upload: no file service?")
        return found

    def append(
        self,
        upload: str,
        offset: int,
        body: bytes | FileBody,
        sent: SentBytes,
        fields: Mapping[str, str] | None = None,
        *,
        is_last: bool,
    ) -> Uploaded | UploadStep:
        """Append bytes to an upload; with the last ones, the file is complete and as in `sent`."""
        fields = {
            "Content-Type": CONTENT_TYPE,
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if is_last else "?0",
            **(fields or {}),
        }
        try:
            response = self._connection.request("PATCH", self._resource(upload), fields, body=body)
        except Refused as error:
            if error.code not in _OFFSET_ERRORS:
                raise
            return self.ask(upload, sent)
        if complete(response.headers):
            return self.result(response, sent)
        response.close()
        return UploadStep.of(response.headers)

    def ask(self, upload: str, sent: SentBytes) -> Uploaded | UploadStep:
        """Ask how much of the file has arrived. Raise Refused if the upload has ended otherwise."""
        try:
            response = self._connection.request("HEAD", self._resource(upload))
        except Refused as error:
            if error.status == HTTPStatus.GONE:
                raise self._reason_of_end(upload) from None
            raise
        response.close()
        if not complete(response.headers):
            return UploadStep.of(response.headers)
        default = self._target.address.url("download", self._name)
        url = response.headers.get("Content-Location", default)
        self._compare(response, sent)
        return Uploaded(url, sent.size, sent.sha256, is_new=True)

    def end(self, upload: str) -> None:
        """End an upload that is not complete, so that the service keeps nothing of it."""
        with suppress(ClientError):
            self._connection.request("DELETE", self._resource(upload)).close()

    def result(self, response: requests.Response, sent: SentBytes) -> Uploaded:
        """Return what a response says that completes the upload. Raise DigestMismatch."""
        record = read_json(response)
        url = record.get("url") if isinstance(record, dict) else None
        if not isinstance(url, str):
            raise ClientError(f"{self.url} does not answer as a file service does")
        self._compare(response, sent)
        is_new = response.status_code == HTTPStatus.CREATED or self._target.replaces
        return Uploaded(url, sent.size, sent.sha256, is_new=is_new)

    def _put(self, fields: Mapping[str, str], body: bytes | FileBody) -> requests.Response:
        query = {"expires": self._target.expires} if self._target.expires else {}
        return self._connection.request("PUT", self.url, fields, body=body, query=query)

    def _reason_of_end(self, upload: str) -> Refused:
        """Return why an upload was refused: an answer to HEAD has no body that says so."""
        fields = {"Content-Type": CONTENT_TYPE, "Upload-Offset": "0", "Upload-Complete": "?1"}
        try:
            self._connection.request("PATCH", self._resource(upload), fields).close()
        except Refused as error:
            return error
        raise ClientError("the upload has ended, and the service does not say why")

    def _compare(self, response: requests.Response, sent: SentBytes) -> None:
        """Raise DigestMismatch if the service says that it has other bytes."""
        try:
            stored = digest_of(response.headers)
        except BadDigestHeader as error:
            raise ClientError(str(error)) from None
        if stored is not None and stored != sent.sha256:
            raise DigestMismatch(
                f"{self._source} has the SHA-256 {sent.sha256.hex()}, and the service has stored a"
                f" file with {stored.hex()}"
            )

    def _resource(self, upload: str) -> str:
        return self._target.address.url("resume", upload)
