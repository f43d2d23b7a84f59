"""How long reads of a connection wait."""

from collections.abc import Iterator

import gevent.socket
import pytest

from fileservice.serving.source import Source

IDLE_SECONDS = 60.0


@pytest.fixture
def ends() -> Iterator[tuple[gevent.socket.socket, gevent.socket.socket]]:
    """The server's end of a connection, which waits for an idle timeout, and the client's."""
    server, client = gevent.socket.socketpair()
    server.settimeout(IDLE_SECONDS)
    with server, client:
        yield server, client


def test_reads_wait_for_the_idle_timeout_again_after_one_with_a_deadline(
    ends: tuple[gevent.socket.socket, gevent.socket.socket],
) -> None:
    server, client = ends
    source = Source(server)
    source.begin_head(b"", seconds=30)
    client.sendall(b"GET /")
    assert source.chunk() == b"GET /"
    assert server.gettimeout() == IDLE_SECONDS


def test_reads_wait_for_the_idle_timeout_again_after_a_deadline_has_passed(
    ends: tuple[gevent.socket.socket, gevent.socket.socket],
) -> None:
    server, _ = ends
    source = Source(server)
    source.begin_head(b"", seconds=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            source.chunk()
    assert server.gettimeout() == IDLE_SECONDS
