"""Servers for whole modules."""

from collections.abc import Callable, Iterator

import pytest

from tests.serving.rig import TunedServer


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TunedServer]]:
    """Start servers for a module: `tune("keepalive = 5", IDLE_TIMEOUT="1s")`.

    Asking for the same again gives the same server, emptied.
    """
    servers: dict[tuple, TunedServer] = {}

    def start(*lines: str, **settings: str) -> TunedServer:
        key = (lines, tuple(sorted(settings.items())))
        if key in servers and servers[key].process.poll() is None:
            servers[key].clear()
            return servers[key]
        store = tmp_path_factory.mktemp("serving") / "store"
        servers[key] = TunedServer({"STORE_URL": str(store), **settings}, *lines)
        return servers[key]

    yield start
    for server in servers.values():
        server.kill()
