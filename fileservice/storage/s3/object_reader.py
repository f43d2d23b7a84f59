"""Body: an object as a seekable file, fetched as it is read."""

import io
import random
import time
from typing import Any

from fileservice.storage.errors import StorageUnavailable
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.errors import BROKEN_READ, ObjectMissing, PreconditionFailed

_ATTEMPTS = 5


class ObjectReader(io.RawIOBase):
    """The bytes of the one object that has this ETag; of no other that takes its place.

    A stream that breaks off is taken up where it broke. What is not read is never waited for: the
    connection is closed on it.
    """

    def __init__(
        self, bucket: Bucket, key: str, etag: str, size: int, stream: Any | None = None
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._etag = etag
        self._size = size
        self._stream = stream
        self._position = self._arrives_at = 0
        """Where the reader stands, and what the next byte of the stream is."""
        self._end = size

    def seek_range(self, first: int, end: int) -> None:
        """What is read next begins at `first` and ends before `end`."""
        self.seek(first)
        if first != self._arrives_at or end != self._end:
            self._cut()
        self._end = end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._position = start + offset
        self._end = self._size if self._position != self._arrives_at else self._end
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.readall()
        count = min(size, self._size - self._position)
        return self._fetch(count) if count > 0 else b""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._cut()
        super().close()

    def _fetch(self, count: int) -> bytes:
        attempt = 0
        while True:
            try:
                data = bytes(self._opened().read(count))
                if data:
                    self._position += len(data)
                    self._arrives_at = self._position
                    return data
                reason = "the object ended early"
            except BROKEN_READ as error:
                reason = type(error).__name__
            self._cut()
            attempt += 1
            if attempt == _ATTEMPTS:
                raise StorageUnavailable(f"the storage does not give the file: {reason}")
            time.sleep(random.uniform(0, 0.2 * 2**attempt))  # noqa: S311  # jitter, no secret

    def _opened(self) -> Any:
        if self._stream and self._arrives_at == self._position < self._end:
            return self._stream
        self._cut()
        end = self._end if self._end > self._position else self._size
        try:
            _, self._stream = self._bucket.get(self._key, self._position, end, self._etag)
        except (ObjectMissing, PreconditionFailed):
            raise StorageUnavailable("the file was removed while it was read") from None
        self._arrives_at = self._position
        return self._stream

    def _cut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
