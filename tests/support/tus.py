"""A tus client that sends whatever a test wants, also what the protocol forbids."""

import base64
from collections.abc import Iterable
from typing import Any

import httpx

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def named(name: str) -> dict[str, str]:
    """The Upload-Metadata field of an upload with this name."""
    return {"Upload-Metadata": f"filename {encoded(name)}"}


class Tus:
    """The requests of tus; any field can be overridden, or omitted with None."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def request(
        self, method: str, path: str, fields: dict[str, Any], body: bytes | Iterable[bytes] = b""
    ) -> httpx.Response:
        headers = {name: value for name, value in (VERSION | fields).items() if value is not None}
        return self._client.request(method, path, headers=headers, content=body)

    def create(
        self, name: str = "note.txt", length: int | None = None, body: bytes = b"", **fields: Any
    ) -> httpx.Response:
        """Send POST /tus/; `fields` are named with _ for -."""
        known: dict[str, Any] = named(name)
        if length is not None:
            known["Upload-Length"] = str(length)
        if body:
            known |= BYTES
        return self.request("POST", "/tus/", known | dashed(fields), body)

    def begin(self, name: str = "note.txt", length: int | None = None, **fields: Any) -> str:
        """Create an upload and return its URL."""
        answer = self.create(name, length, **fields)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(
        self, url: str, offset: int | str, body: bytes | Iterable[bytes] = b"", **fields: Any
    ) -> httpx.Response:
        known = BYTES | {"Upload-Offset": str(offset)}
        return self.request("PATCH", url, known | dashed(fields), body)

    def head(self, url: str, **fields: Any) -> httpx.Response:
        return self.request("HEAD", url, dashed(fields))

    def delete(self, url: str, **fields: Any) -> httpx.Response:
        return self.request("DELETE", url, dashed(fields))

    def offset(self, url: str) -> int:
        """The offset of the upload."""
        answer = self.head(url)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])


def dashed(given: dict[str, Any]) -> dict[str, Any]:
    """The fields, which are named with _ for -."""
    return {name.replace("_", "-"): value for name, value in given.items()}
