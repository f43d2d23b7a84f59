"""Somebody who runs the command line, and what stands between them and the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clients import Person
from tests.support.faulty_proxy import FaultyProxy
from tests.support.servers import LiveServer


@pytest.fixture
def person(server: LiveServer, tmp_path: Path) -> Person:
    return Person(server.url, tmp_path)


@pytest.fixture
def proxy(server: LiveServer) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.port) as proxy:
        yield proxy
