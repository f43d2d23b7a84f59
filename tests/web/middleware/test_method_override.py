"""X-HTTP-Method-Override."""

from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import create_environ, run_wsgi_app

from fileservice.web.middleware import method_override
from tests.support.rows import every_row


@pytest.fixture(scope="module")
def app() -> Flask:
    """An application that answers with the method that it sees."""
    app = Flask(__name__, static_folder=None)
    methods = ["GET", "HEAD", "POST", "PATCH", "DELETE"]
    app.add_url_rule("/tus/a", "tus", lambda: request.method, methods=methods)
    app.add_url_rule("/upload/a", "upload", lambda: request.method, methods=methods)
    method_override.register(app)
    return app


def answer_to(
    app: Flask, method: str, override: str | None, path: str = "/tus/a"
) -> tuple[str, str, Any]:
    environ = create_environ(path, method=method)
    if override is not None:
        environ["HTTP_X_HTTP_METHOD_OVERRIDE"] = override
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return status, b"".join(body).decode(), headers


@every_row("override", ["PATCH", "patch", "DELETE"])
def test_a_post_below_tus_becomes_the_method_that_the_field_names(
    app: Flask, override: str
) -> None:
    assert answer_to(app, "POST", override)[:2] == ("200 OK", override.upper())


@every_row("override", [None, ""])
def test_without_the_field_the_method_stays(app: Flask, override: str | None) -> None:
    assert answer_to(app, "POST", override)[1] == "POST"


def test_the_field_has_no_effect_on_other_paths(app: Flask) -> None:
    assert answer_to(app, "POST", "DELETE", path="/upload/a")[1] == "POST"


def test_an_unknown_method_is_not_allowed(app: Flask) -> None:
    assert answer_to(app, "POST", "MADEUP")[0].startswith("405")


def test_a_post_that_becomes_head_has_no_body_and_says_so(app: Flask) -> None:
    status, body, headers = answer_to(app, "POST", "HEAD")
    assert (status, body) == ("200 OK", "")
    assert headers.getlist("Content-Length") == ["0"]


def test_a_head_that_is_overridden_by_head_keeps_its_length(app: Flask) -> None:
    _, body, headers = answer_to(app, "HEAD", "HEAD")
    assert body == ""
    assert headers["Content-Length"] == "4"
