"""The clients of a soak: few requests at a time, every byte checked, uploads that are resumed."""

import base64
import random
import secrets
import threading
import time
from collections.abc import Callable

import httpx

KIB = 1 << 10
_SIZES = (KIB, 40 * KIB, 300 * KIB, 2048 * KIB)
_PIECE = 256 * KIB
_TUS = {"Tus-Resumable": "1.0.0"}
_ATTEMPTS = 100


class Lost(Exception):
    """A request was answered wrongly, or not at all."""


class SoakLoad:
    """Clients that run in threads until `stop`.

    `requests` counts those that were answered as they should be, `resumed` the uploads that
    continued after a cut, `cut` the requests that ended with their connection while `may_cut`
    returned true, and `lost` says which others failed.
    """

    def __init__(self, url: str, may_cut: Callable[[], bool]) -> None:
        self.requests = self.resumed = self.cut = 0
        self.lost: list[str] = []
        self._url = url
        self._may_cut = may_cut
        self._over = threading.Event()
        actions = [self._small_files, self._small_files, self._small_files, self._resumable]
        self._threads = [
            threading.Thread(target=self._repeat, args=(action, number))
            for number, action in enumerate(actions)
        ]

    def start(self) -> None:
        """Start the clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait until all clients have removed their files and ended."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)

    def _repeat(self, action: Callable[[httpx.Client, str], None], number: int) -> None:
        while not self._over.is_set():
            name = f"soak-{number}-{secrets.token_hex(6)}.txt"
            try:
                # A connection of its own: one that is kept may be closed when a request is sent.
                with httpx.Client(base_url=self._url, timeout=60) as client:
                    action(client, name)
            except httpx.TransportError as error:
                if self._may_cut():
                    self.cut += 1
                else:
                    self.lost.append(f"{name}: {error!r}")
                self._remove(name)
            except Lost as error:
                self.lost.append(f"{name}: {error}")
            self._over.wait(random.uniform(0.05, 0.3))

    def _ask(
        self, client: httpx.Client, method: str, path: str, status: int, **rest: object
    ) -> httpx.Response:
        response = client.request(method, path, **rest)  # type: ignore[arg-type]
        if response.status_code != status:
            raise Lost(f"{method}: {response.status_code} {response.text[:200]}")
        self.requests += 1
        return response

    def _small_files(self, client: httpx.Client, name: str) -> None:
        data = _text(random.choice(_SIZES))
        self._ask(client, "PUT", f"/upload/{name}", 201, content=data)
        if self._ask(client, "GET", f"/download/{name}", 200).content != data:
            raise Lost("a download has other bytes")
        part = self._ask(
            client, "GET", f"/download/{name}", 206, headers={"Range": "bytes=100-199"}
        )
        if part.content != data[100:200]:
            raise Lost("a range has other bytes")
        self._ask(client, "GET", "/download?limit=10", 200)
        self._ask(client, "DELETE", f"/download/{name}", 204)

    def _resumable(self, client: httpx.Client, name: str) -> None:
        data = _text(8 * _PIECE)
        encoded = base64.b64encode(name.encode()).decode()
        fields = _TUS | {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {encoded}"}
        upload = self._ask(client, "POST", "/tus/", 201, headers=fields).headers["Location"]
        if random.random() < 0.2:
            self._ask(client, "DELETE", upload, 204, headers=_TUS)
            return
        offset = 0
        for _ in range(_ATTEMPTS):
            try:
                # A connection of its own, since the last one may have been cut.
                with httpx.Client(timeout=60) as own:
                    self._ask(
                        own,
                        "PATCH",
                        upload,
                        204,
                        headers=_patch(offset),
                        content=_slowly(data[offset:]),
                    )
                break
            except httpx.TransportError:
                time.sleep(1)
                with httpx.Client(timeout=60) as own:
                    head = own.head(upload, headers=_TUS)
                if "Upload-Offset" in head.headers:
                    offset = int(head.headers["Upload-Offset"])
                    self.resumed += 1
                if offset == len(data):
                    break
        with httpx.Client(base_url=self._url, timeout=60) as own:
            if self._ask(own, "GET", f"/download/{name}", 200).content != data:
                raise Lost("a resumed upload has other bytes")
            self._ask(own, "DELETE", f"/download/{name}", 204)

    def _remove(self, name: str) -> None:
        """Remove what a request may have stored that was cut before its answer."""
        for _ in range(_ATTEMPTS):
            try:
                with httpx.Client(base_url=self._url, timeout=60) as client:
                    if client.delete(f"/download/{name}").status_code in (204, 404):
                        return
            except httpx.TransportError:
                pass
            time.sleep(0.2)


def _text(size: int) -> bytes:
    line = secrets.token_hex(32).encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


def _patch(offset: int) -> dict[str, str]:
    content_type = {"Content-Type": "application/offset+octet-stream"}
    return _TUS | content_type | {"Upload-Offset": str(offset)}


def _slowly(data: bytes):  # type: ignore[no-untyped-def]
    """Yield the data in pieces, one every half a second."""
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
        time.sleep(0.5)
