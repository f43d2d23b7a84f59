"""ObjectReader: an object as a seekable file whose bytes are requested as they are read."""

import io

from fileservice.storage.errors import StorageUnavailable, VersionChanged
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.errors import BROKEN_READ, RequestRejected
from fileservice.storage.s3.retries import attempts

_ATTEMPTS = 5


class ObjectReader(io.RawIOBase):
    """The bytes of the object that has this ETag, never those of one that replaced it.

    Each request is a GetObject with Range and If-Match. When the connection breaks, reading goes on
    in a new request at the byte where it broke. Bytes that are not read are not waited for: the
    connection is closed instead.
    """

    def __init__(
        self, client: S3Client, key: str, etag: str, size: int, stream: Answer | None = None
    ) -> None:
        self._client = client
        self._key = key
        self._etag = etag
        self._size = size
        self._stream = stream
        """The answer that is being read, if there is one."""
        self._stream_position = 0
        """The offset of the next byte of that answer."""
        self._position = 0
        self._end = size
        """Where the requests for bytes end."""

    def seek_range(self, first: int, end: int) -> None:
        """Seek to `first`; all that is read until the next seek lies before `end`."""
        self.seek(first)
        if first != self._stream_position or end != self._end:
            self._close_stream()
        self._end = end

    def begin_range(self, first: int, end: int) -> None:
        """Seek to `first`, and request the bytes before `end`. Raises VersionChanged."""
        self.seek_range(first, end)
        if first < end:
            try:
                self._open_stream()
            except RequestRejected:
                raise VersionChanged(self._key) from None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("the position lies before the beginning of the file")
        self._position = start + offset
        if self._position != self._stream_position:
            self._end = self._size
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
        self._close_stream()
        super().close()

    def _fetch(self, count: int) -> bytes:
        for _ in attempts(count=_ATTEMPTS):
            try:
                data = self._open_stream().read(count)
                if data:
                    self._position += len(data)
                    self._stream_position = self._position
                    return data
                reason = "the object ended early"
            except BROKEN_READ as error:
                reason = type(error).__name__
            except RequestRejected:
                raise StorageUnavailable("the file was removed while it was read") from None
            self._close_stream()
        raise StorageUnavailable(f"the file could not be read from the storage: {reason}")

    def _open_stream(self) -> Answer:
        """Return the bytes from the position on. Raises ObjectMissing, PreconditionFailed."""
        if self._stream and self._stream_position == self._position < self._end:
            return self._stream
        self._close_stream()
        end = self._end if self._end > self._position else self._size
        _, self._stream = self._client.get_object(self._key, self._position, end, self._etag)
        self._stream_position = self._position
        return self._stream

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
