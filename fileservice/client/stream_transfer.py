"""StreamTransfer: the way of what a program writes to the service, while it is being written.

The bytes come once, and their number is not known. So those that the service has not confirmed are
kept in memory, a block of them: if a connection breaks, they are sent again. What is not longer
than a block is sent in one request, and anything else by the IETF draft for resumable uploads
(docs/http.md, Resuming), each block with its digest. Nobody can go on after this process.
"""

import hashlib
import os
import select
from pathlib import Path
from typing import BinaryIO

from fileservice.client.errors import ClientError, LocalFileError, Refused, Unavailable
from fileservice.client.progress import Progress
from fileservice.client.retries import Retries
from fileservice.client.upload_calls import SentBytes, UploadCalls, Uploaded, UploadTarget
from fileservice.client.upload_step import UploadStep
from fileservice.protocols.digests import repr_digest

_SOURCE = "standard input"


class StreamTransfer:
    """The way of the bytes of a stream to the service."""

    def __init__(
        self,
        target: UploadTarget,
        stream: BinaryIO,
        name: str,
        progress: Progress,
        block_size: int,
    ) -> None:
        """`block_size` is the number of bytes that are kept in memory and sent at a time."""
        self._calls = UploadCalls(target, name, _SOURCE)
        self._stream = stream
        self._block_size = block_size
        self._progress = progress
        self._retries = Retries(target.retry_seconds, progress)
        self._digest = hashlib.sha256()
        self._size = 0
        """Bytes that were read."""

    def send(self) -> Uploaded:
        """Send everything up to the end of the stream. Raise ClientError."""
        block = self._read()
        if len(block) < self._block_size:
            return self._send_whole(block)
        upload, limit = self._retries.call(self._begin)
        try:
            while block:
                self._append(upload, block, limit)
                block = self._read()
            return self._complete(upload)
        except Unavailable:
            raise  # it would not answer to this, either
        except BaseException:
            self._calls.end(upload)
            raise

    def _send_whole(self, block: bytes) -> Uploaded:
        """Send all bytes in one request, again if the answer is lost."""
        fields = {"Repr-Digest": repr_digest(self._sent.sha256) or ""}
        return self._retries.call(
            lambda: self._calls.result(self._calls.create(fields, lambda: block), self._sent)
        )

    def _begin(self) -> tuple[str, int]:
        """Begin an upload; return its id, and how many bytes one request may have (0 for any)."""
        response = self._calls.create({"Upload-Complete": "?0"})
        response.close()
        return self._calls.id_of(response), UploadStep.of(response.headers).limit

    def _append(self, upload: str, block: bytes, limit: int) -> None:
        """Append a block, in as many requests as it takes."""
        self._retries.start_again()  # the stream may have come to a stop for long
        begin = offset = self._size - len(block)
        while offset < self._size:
            part = block[offset - begin :][: limit or None]
            step = self._request(upload, offset, part, is_last=False)
            if isinstance(step, Uploaded) or not begin <= step.offset <= self._size:
                raise ClientError("the service has other bytes than those that were sent")
            if step.offset > offset:
                self._retries.start_again()
            offset, limit = step.offset, step.limit or limit
            self._progress.move(offset, None)

    def _complete(self, upload: str) -> Uploaded:
        self._retries.start_again()
        while True:
            step = self._request(upload, self._size, b"", is_last=True)
            if isinstance(step, Uploaded):
                return step
            if step.offset != self._size:
                raise ClientError("the service has lost bytes that it had confirmed")

    def _request(
        self, upload: str, offset: int, part: bytes, *, is_last: bool
    ) -> Uploaded | UploadStep:
        """Make a request that appends bytes; if it breaks, ask how much of them has arrived."""
        digest = hashlib.sha256(part).digest()
        fields = {"Content-Digest": repr_digest(digest) or ""} if part else {}
        try:
            return self._calls.append(upload, offset, part, self._sent, fields, is_last=is_last)
        except Unavailable as error:
            self._retries.wait(error)
            return self._retries.call(lambda: self._calls.ask(upload, self._sent))
        except Refused as error:
            if error.code == "digest-mismatch":
                # Something on the way has changed them, and none of them counts.
                self._retries.wait(Unavailable(str(error)))
                return self._retries.call(lambda: self._calls.ask(upload, self._sent))
            raise

    @property
    def _sent(self) -> SentBytes:
        return SentBytes(self._size, self._digest.digest())

    def _read(self) -> bytes:
        """Return the next block, which is shorter only at the end of the stream."""
        try:
            block = _read(self._stream, self._block_size)
        except OSError as error:
            raise LocalFileError(Path(_SOURCE), error) from None
        self._digest.update(block)
        self._size += len(block)
        return block


def _read(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, or as many as there are before the end. Raise OSError.

    Another program that has the same pipe may have made it one that does not block. Then fewer
    bytes, or None for none, do not mean that the stream has ended.
    """
    block = stream.read(size)
    if block is not None and (len(block) == size or _is_blocking(stream)):
        return block
    buffer = bytearray(block or b"")
    while len(buffer) < size:
        select.select([stream], [], [])
        block = stream.read(size - len(buffer))
        if block == b"":
            break
        buffer += block or b""
    return bytes(buffer)


def _is_blocking(stream: BinaryIO) -> bool:
    try:
        return os.get_blocking(stream.fileno())
    except OSError:  # it has no descriptor
        return True
