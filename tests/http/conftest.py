"""What the tests over HTTP share beside their servers."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Wire


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
