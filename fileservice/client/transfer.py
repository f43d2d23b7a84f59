"""Transfer: the way of one local file to the service."""

import hashlib
import os
from contextlib import closing
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path

from fileservice.client.body import FileBody
from fileservice.client.errors import (
    ClientError,
    DigestMismatch,
    FileChanged,
    Refused,
    Unavailable,
)
from fileservice.client.progress import Progress
from fileservice.client.retries import Retries
from fileservice.client.upload_calls import SentBytes, UploadCalls, Uploaded, UploadTarget
from fileservice.client.upload_state import UploadState
from fileservice.client.upload_step import UploadStep
from fileservice.protocols.digests import repr_digest
from fileservice.protocols.resumable_draft import complete


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
        self._path = path
        self._file = file
        self._status = status
        self._state_directory = target.state_directory
        self._calls = UploadCalls(target, name, str(path))
        self._progress = progress
        self._retries = Retries(target.retry_seconds, progress)

    def send_small(self) -> Uploaded:
        """Send the file in one request, again if the answer is lost: its digest tells it apart."""
        sent = self._sent(self._digest())

        def attempt() -> Uploaded:
            fields = {"Repr-Digest": repr_digest(sent.sha256) or ""}
            try:
                response = self._calls.create(fields, lambda: self._body(0, sent.size))
            except Refused as error:
                raise self._explained(error) from None
            return self._calls.result(response, sent)

        return self._retries.call(attempt)

    def send(self) -> Uploaded:
        """Send the file in requests of which each goes on where the last one ended."""
        state = UploadState.open(self._state_directory, self._calls.url, self._path, self._status)
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
        fields = {
            "Repr-Digest": repr_digest(state.sha256) or "",
            "Upload-Complete": "?0",
            "Upload-Length": str(self._status.st_size),
        }
        try:
            response = self._calls.create(fields)
        except Refused as error:
            raise self._explained(error) from None
        if complete(response.headers):  # the service has the very file already
            return self._calls.result(response, self._sent(state.sha256))
        response.close()
        state.resource = self._calls.id_of(response)
        state.save()
        return UploadStep.of(response.headers)

    def _append(self, state: UploadState, offset: int, limit: int) -> Uploaded | UploadStep:
        """Send the rest of the file, or as much of it as the service takes in one request."""
        rest = self._status.st_size - offset
        length = min(rest, limit) if limit else rest
        try:
            return self._calls.append(
                state.resource,
                offset,
                self._body(offset, length),
                self._sent(state.sha256),
                is_last=length == rest,
            )
        except Refused as error:
            raise self._explained(error) from None

    def _ask(self, state: UploadState) -> Uploaded | UploadStep:
        """Ask how much of the file has arrived. Raise Refused if the upload has ended otherwise."""
        return self._calls.ask(state.resource, self._sent(state.sha256))

    def _explained(self, error: Refused) -> ClientError:
        """Return FileChanged if the file is not the one any more whose digest was declared."""
        now = os.fstat(self._file.fileno())
        before = self._status
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return FileChanged(self._path)
        if error.code == "digest-mismatch":
            return DigestMismatch(f"{self._path}: {error}")
        return error

    def _body(self, offset: int, length: int) -> FileBody:
        return FileBody(self._path, self._file, offset, length, self._move)

    def _sent(self, sha256: bytes) -> SentBytes:
        return SentBytes(self._status.st_size, sha256)

    def _digest(self) -> bytes:
        return hashlib.file_digest(self._file, "sha256").digest()

    def _move(self, position: int) -> None:
        self._progress.move(position, self._status.st_size)
