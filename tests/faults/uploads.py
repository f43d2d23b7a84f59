"""Uploads during which servers are killed and the power is cut."""

import contextlib
import itertools
import threading
from typing import Self

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Wire, eventually, form, form_request, part, request

DATA = b"0123456789abcdef" * 65536  # larger than what a server is likely to read at once

RAW = request("PUT /upload/a.txt", body=DATA)
FORM = form_request(form(part("file", DATA, "a.txt")))
SMALL = request("PUT /upload/a.txt", body=DATA[:1024])
UPLOADS = [pytest.param(RAW, id="raw"), pytest.param(FORM, id="form", marks=pytest.mark.thorough)]


class SmallUploads:
    """Sixteen clients, each uploads file after file, named after what is in it, until one fails."""

    def __init__(self, server: LiveServer) -> None:
        self.acknowledged: set[str] = set()
        self._server = server
        self._clients = [threading.Thread(target=self._upload, args=(n,)) for n in range(16)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for client in self._clients:
            client.join()

    def wait_for(self, count: int) -> None:
        """Return when so many uploads have been acknowledged."""
        eventually(lambda: len(self.acknowledged) >= count)

    def _upload(self, client: int) -> None:
        with contextlib.suppress(OSError, AssertionError), Wire(self._server) as wire:
            for number in itertools.count():
                name = f"{client}-{number}.txt"
                if wire.ask(request(f"PUT /upload/{name}", body=name.encode())).status != 201:
                    return
                self.acknowledged.add(name)


def some_is_staged(server: LiveServer) -> bool:
    """Whether a part of one file's bytes has come so far as to be staged."""
    return any(path.stat().st_size > 0 for path in server.staged())
