"""What a connection tells the application about each of its requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import gevent.socket
import pytest
from gunicorn.config import Config

from fileservice.serving import connection
from fileservice.serving.connection import Connection, TimeLimits
from fileservice.serving.environ import EnvironFactory
from fileservice.wsgi_extensions import overdue_seconds

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def reported_delays(*, of_connection: float, of_loop: float, client_waits: float) -> list[object]:
    """Return what the application learns of the delays of two requests on one connection.

    The client waits for so many seconds with its first request, once it is connected.
    """
    delays: list[object] = []
    cfg, now = Config(), 1000.0
    server, client = gevent.socket.socketpair()

    @contextmanager
    def idle(*_: object) -> Iterator[None]:
        nonlocal now
        yield
        now += client_waits

    def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        delays.append(overdue_seconds(environ))
        start_response("204 No Content", [])
        return []

    worker = SimpleNamespace(
        request_cfg=cfg,
        requests_under_way=set(),
        requests_ended=[],
        wsgi=application,
        alive=True,
        stopping=False,
        limits=TimeLimits(idle=5, head=5, keepalive=5, linger=5),
        idle=idle,
        closable=lambda *_: nullcontext(),
        count_request=lambda: None,
        overdue_seconds=lambda: of_loop,
    )
    with pytest.MonkeyPatch.context() as patch, server, client:
        patch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: now))
        client.sendall(2 * REQUEST)
        client.shutdown(gevent.socket.SHUT_WR)
        environs = EnvironFactory(cfg, ("127.0.0.1", 80))
        Connection(worker, environs, server, ("127.0.0.1", 1), of_connection).serve()
    return delays


def test_delay_of_a_connection_is_that_of_its_first_request() -> None:
    assert reported_delays(of_connection=0.5, of_loop=0.3, client_waits=0.1) == [0.5, 0.3]


def test_delay_of_a_connection_that_was_opened_in_advance_is_not_that_of_its_first_request() -> (
    None
):
    """Browsers open connections that they may need later; by then the overload may be over."""
    assert reported_delays(of_connection=0.5, of_loop=0.3, client_waits=5) == [0.3, 0.3]
