"""Transfer: the way of one local file to the service."""

import hashlib
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path

import requests

from fileservice.client.address import Address
from fileservice.client.body import FileBody
from fileservice.client.connection import Connection, read_json
from fileservice.client.errors import (
    ClientError,
    DigestMismatch,
    FileChanged,
    Refused,
    Unavailable,
)
from fileservice.client.progress import Progress
from fileservice.client.retries import Retries
from fileservice.client.upload_state import UploadState, default_directory
from fileservice.client.upload_step import UploadStep
from fileservice.protocols.digests import digest_of, repr_digest
from fileservice.protocols.errors import BadDigestHeader
from fileservice.protocols.resumable_draft import CONTENT_TYPE, complete


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


class Transfer:
    """The way of one file to the service."""

    def __init__(
        self,
        target: UploadTarget,
        path: Path,
        file: BufferedReader,
        status: os.stat_result,
        name: str,
        progress: Progress,
    ) -> None:
        self._target = target
        self._connection = target.connection
        self._path = path
        self._file = file
        self._status = status
        self._url = target.address.url("upload", name)
        self._name = name
        self._progress = progress
        self._retries = Retries(target.retry_seconds, progress)

    def send_small(self) -> Uploaded:
        """Send the file in one request, again if the answer is lost: its digest tells it apart."""
        sha256 = self._digest()

        def attempt() -> Uploaded:
            body = FileBody(self._path, self._file, 0, self._status.st_size, self._move)
            fields = self._fields(sha256)
            return self._result(sha256, self._create(fields, body))

        return self._retries.call(attempt)

    def send(self) -> Uploaded:
        """Send the file in requests of which each goes on where the last one ended."""
        directory = self._target.state_directory
        state = UploadState.open(directory, self._url, self._path, self._status)
        with closing(state):
            if not state.sha256:
                state.sha256 = self._digest()
            while True:
                was_begun_before = bool(state.resource)
                try:
                    return self._send(state)
                except Refused as error:
                    is_over = error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
                    if error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                        state.resource = ""
                        state.save()
                    if not (is_over and was_begun_before):
                        raise
                    self._progress.say("the service does not have the begun upload any more")

    def _send(self, state: UploadState) -> Uploaded:
        """Go on with an upload, or begin one, until the file is published."""
        step = self._retries.call(lambda: self._begin(state))
        limit, offset = 0, 0
        while not isinstance(step, Uploaded):
            limit = step.limit or limit
            if step.offset > offset:
                self._retries.start_again()
            offset = step.offset
            self._move(offset)
            try:
                step = self._append(state, offset, limit)
            except Unavailable as error:
                self._retries.wait(error)
                step = self._retries.call(lambda: self._ask(state))
        state.resource = ""
        return step

    def _begin(self, state: UploadState) -> Uploaded | UploadStep:
        if state.resource:
            step = self._ask(state)
            if isinstance(step, UploadStep):
                self._progress.say(f"going on at byte {step.offset}")
            return step
        fields = self._fields(state.sha256) | {
            "Upload-Complete": "?0",
            "Upload-Length": str(self._status.st_size),
        }
        response = self._create(fields, b"")
        if complete(response.headers):  # the service has the very file already
            return self._result(state.sha256, response)
        response.close()
        location = response.headers.get("Location", "")
        # Only the id counts: a service behind a proxy may not know how it is reached.
        state.resource = location.rstrip("/").rpartition("/")[2]
        if not state.resource:
            raise ClientError(f"{self._url} does not begin an upload: no file service?")
        state.save()
        return UploadStep.of(response.headers)

    def _append(self, state: UploadState, offset: int, limit: int) -> Uploaded | UploadStep:
        """Send the rest of the file, or as much of it as the service takes in one request."""
        rest = self._status.st_size - offset
        length = min(rest, limit) if limit else rest
        fields = {
            "Content-Type": CONTENT_TYPE,
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if length == rest else "?0",
        }
        body = FileBody(self._path, self._file, offset, length, self._move)
        try:
            response = self._connection.request("PATCH", self._resource(state), fields, body=body)
        except Refused as error:
            if error.code not in ("mismatching-upload-offset", "completed-upload"):
                raise self._explained(error) from None
            return self._ask(state)
        if complete(response.headers):
            return self._result(state.sha256, response)
        response.close()
        return UploadStep.of(response.headers)

    def _ask(self, state: UploadState) -> Uploaded | UploadStep:
        """Ask how much of the file has arrived. Raise Refused if the upload has ended otherwise."""
        try:
            response = self._connection.request("HEAD", self._resource(state))
        except Refused as error:
            if error.status == HTTPStatus.GONE:
                raise self._reason_of_end(state) from None
            raise
        response.close()
        if complete(response.headers):
            url = response.headers.get("Content-Location", self._download_url())
            self._compare(state.sha256, response)
            return Uploaded(url, self._status.st_size, state.sha256, is_new=True)
        return UploadStep.of(response.headers)

    def _reason_of_end(self, state: UploadState) -> Refused:
        """Return why an upload was refused: an answer to HEAD has no body that says so."""
        fields = {"Content-Type": CONTENT_TYPE, "Upload-Offset": "0", "Upload-Complete": "?1"}
        try:
            self._connection.request("PATCH", self._resource(state), fields).close()
        except Refused as error:
            return error
        raise ClientError("the upload has ended, and the service does not say why")

    def _create(self, fields: Mapping[str, str], body: bytes | FileBody) -> requests.Response:
        """Make the first request. A file that may replace another one need not find one."""
        query = {"expires": self._target.expires} if self._target.expires else {}
        try:
            return self._connection.request("PUT", self._url, fields, body=body, query=query)
        except Refused as error:
            if error.status != HTTPStatus.PRECONDITION_FAILED or not self._target.replaces:
                raise self._explained(error) from None
        others = {key: value for key, value in fields.items() if key != "If-Match"}
        again = body
        if isinstance(body, FileBody):
            again = FileBody(self._path, self._file, 0, len(body), self._move)
        try:
            return self._connection.request("PUT", self._url, others, body=again, query=query)
        except Refused as error:
            raise self._explained(error) from None

    def _explained(self, error: Refused) -> ClientError:
        """Return FileChanged if the file is not the one any more whose digest was declared."""
        now = os.fstat(self._file.fileno())
        before = self._status
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return FileChanged(self._path)
        if error.code == "digest-mismatch":
            return DigestMismatch(f"{self._path}: {error}")
        return error

    def _fields(self, sha256: bytes) -> dict[str, str]:
        fields = {"Repr-Digest": repr_digest(sha256) or ""}
        if self._target.replaces:
            fields["If-Match"] = "*"
        return fields

    def _digest(self) -> bytes:
        return hashlib.file_digest(self._file, "sha256").digest()

    def _result(self, sha256: bytes, response: requests.Response) -> Uploaded:
        """Return what a response says that completes the upload. Raise DigestMismatch."""
        record = read_json(response)
        url = record.get("url") if isinstance(record, dict) else None
        if not isinstance(url, str):
            raise ClientError(f"{self._url} does not answer as a file service does")
        self._compare(sha256, response)
        is_new = response.status_code == HTTPStatus.CREATED or self._target.replaces
        return Uploaded(url, self._status.st_size, sha256, is_new=is_new)

    def _compare(self, sha256: bytes, response: requests.Response) -> None:
        """Raise DigestMismatch if the service says that it has other bytes."""
        try:
            stored = digest_of(response.headers)
        except BadDigestHeader as error:
            raise ClientError(str(error)) from None
        if stored is not None and stored != sha256:
            raise DigestMismatch(
                f"{self._path} has the SHA-256 {sha256.hex()}, and the service has stored a file"
                f" with {stored.hex()}"
            )

    def _move(self, position: int) -> None:
        self._progress.move(position, self._status.st_size)

    def _resource(self, state: UploadState) -> str:
        return self._target.address.url("resume", state.resource)

    def _download_url(self) -> str:
        return self._target.address.url("download", self._name)
