"""Fixtures of the tests over HTTP: clients, a file that they know, and servers on a disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.known_file import BYTES, THEN, get
from tests.support.servers import LiveServer
from tests.support.wire import Wire, ask


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx.Client]:
    """An HTTP client of the shared server, emptied."""
    with server.client() as client:
        yield client


@pytest.fixture
def wire(server: LiveServer) -> Iterator[Wire]:
    """A raw connection to the shared server, emptied."""
    with Wire(server) as wire:
        yield wire


@pytest.fixture
def etag(server: LiveServer) -> str:
    """The entity tag of data.bmp, which has BYTES and was last modified at THEN."""
    (server.store / "data.bmp").write_bytes(BYTES)
    os.utime(server.store / "data.bmp", (THEN, THEN))
    return ask(server, get()).headers["ETag"]


@pytest.fixture
def start_on(start_server: Callable[..., LiveServer]) -> Callable[..., LiveServer]:
    """Start a server whose store is on a disk."""

    def start(path: Path, **settings: str) -> LiveServer:
        return start_server(STORE_URL=str(path), WORKERS="1", MIN_FREE_SPACE="0", **settings)

    return start
