"""Servers that the tests of a module share."""

from collections.abc import Callable, Iterator

import pytest

from tests.serving.servers import ConfiguredServer


@pytest.fixture(scope="module")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ConfiguredServer]]:
    """Return a function that starts a server: `start_server("keepalive = 5", IDLE_TIMEOUT="1s")`.

    The same arguments return the same server again, without its files.
    """
    servers: dict[tuple, ConfiguredServer] = {}

    def start(*lines: str, **settings: str) -> ConfiguredServer:
        key = (lines, tuple(sorted(settings.items())))
        if key in servers and servers[key].process.poll() is None:
            servers[key].clear()
            return servers[key]
        store = tmp_path_factory.mktemp("serving") / "store"
        servers[key] = ConfiguredServer({"STORE_URL": str(store), **settings}, *lines)
        return servers[key]

    yield start
    for server in servers.values():
        server.kill()
