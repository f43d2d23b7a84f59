"""Bodies of requests during which something happens."""

import io
from collections.abc import Callable, Mapping


class Body(io.RawIOBase):
    """A body during which something happens: after its first half has been read."""

    def __init__(self, data: bytes, happens: Callable[[], object]) -> None:
        self._data = io.BytesIO(data)
        self._left = len(data) // 2
        self._happens: Callable[[], object] | None = happens

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left == 0 and self._happens:
            self._happens()
            self._happens = None
        limit = min(len(buffer), self._left) if self._left else len(buffer)
        count = self._data.readinto(memoryview(buffer)[:limit])
        self._left = max(0, self._left - count)
        return count


def environ_of(
    data: bytes, headers: Mapping[str, str], happens: Callable[[], object]
) -> dict[str, object]:
    """Return what the environment says of a body during which something happens.

    To be passed as `environ_overrides`: Werkzeug's client would give a form another boundary.
    """
    return {
        "wsgi.input": io.BufferedReader(Body(data, happens)),
        "CONTENT_LENGTH": str(len(data)),
        "CONTENT_TYPE": headers.get("Content-Type", ""),
    }
