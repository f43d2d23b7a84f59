"""OutputStream: a file that is being fetched, as the bytes that another program reads."""

import hashlib
import select
from pathlib import Path
from typing import BinaryIO

from fileservice.client.errors import ClientError, LocalFileError

_NAME = "standard output"


class OutputStream:
    """The bytes that have been written so far, which cannot be taken back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0
        """The number of bytes."""

    @property
    def sha256(self) -> bytes:
        """The digest of the bytes so far."""
        return self._digest.digest()

    def write(self, block: bytes) -> None:
        """Write bytes. Raise LocalFileError."""
        try:
            self._write_all(block)
        except OSError as error:
            raise LocalFileError(Path(_NAME), error) from None
        self._digest.update(block)
        self.size += len(block)

    def _write_all(self, block: bytes) -> None:
        """Write bytes, also to a stream that does not block, as whoever has opened it may want.

        It may be without a buffer (`python -u`), and then takes a part of them, or returns None.
        """
        rest = memoryview(block)
        while True:
            try:
                taken = self._stream.write(rest)
                rest = rest[taken or 0 :]
                self._stream.flush()
            except BlockingIOError as error:  # of a flush, which has taken all before
                rest = rest[error.characters_written :]
                taken = None
            if taken is None:
                select.select([], [self._stream], [])
            elif not rest:
                return

    def clear(self) -> None:
        """Raise ClientError if there are bytes: a service that sends them again cannot help."""
        if self.size:
            raise ClientError(
                f"the service cannot go on at byte {self.size}, and what was written to {_NAME}"
                " cannot be taken back"
            )
