"""Refusing requests while calls wait for a thread."""

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fileservice.web.errors import Overloaded
from fileservice.web.hooks import Hooks
from fileservice.web.middleware import load_shedding
from fileservice.wsgi_extensions import OVERDUE_SECONDS
from tests.support.clock import Clock


class ExecutorClock(Clock):
    """The time, and the delay of the executor, as a test sets them."""

    delay = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ExecutorClock:
    clock = ExecutorClock()
    monkeypatch.setattr(load_shedding, "time", clock)
    return clock


@pytest.fixture
def client(clock: ExecutorClock) -> FlaskClient:
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/healthz", "healthz", lambda: "ok")
    app.add_url_rule("/readyz", "readyz", lambda: "ok")
    app.add_url_rule("/livez", "livez", lambda: "ok")
    app.add_url_rule("/upload/a.txt", "upload", lambda: "stored", methods=["PUT"])
    app.register_error_handler(Overloaded, lambda _: ("busy", 503))
    hooks = Hooks()
    load_shedding.register(hooks, lambda: clock.delay)
    hooks.register(app)
    return app.test_client()


@pytest.mark.parametrize("delay", [0.0, 0.4, 0.5])
def test_requests_are_served_while_calls_wait_for_half_a_second_at_most(
    client: FlaskClient, clock: ExecutorClock, delay: float
) -> None:
    clock.delay = delay
    assert client.put("/upload/a.txt").status_code == 200


def test_requests_are_refused_while_calls_wait_for_longer(
    client: FlaskClient, clock: ExecutorClock
) -> None:
    clock.delay = 0.6
    assert client.put("/upload/a.txt").status_code == 503
    assert client.get("/nothing").status_code == 503
    clock.delay = 0.0
    assert client.put("/upload/a.txt").status_code == 200


def test_health_checks_are_never_refused(client: FlaskClient, clock: Clock) -> None:
    clock.delay = 60.0
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/livez").status_code == 200


def test_refusals_are_logged_once_in_ten_seconds(
    client: FlaskClient, clock: ExecutorClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.delay = 1.25
    for _ in range(25):  # seconds
        client.put("/upload/a.txt")
        clock.now += 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert "1.25 s" in caplog.records[0].getMessage()


def test_a_request_that_the_server_marks_as_late_is_refused(client: FlaskClient) -> None:
    late = {OVERDUE_SECONDS: 0.3}
    assert client.put("/upload/a.txt", environ_overrides=late).status_code == 503
    assert client.get("/healthz", environ_overrides=late).status_code == 200
