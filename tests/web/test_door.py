"""The door: no request gets to a view without a decision."""

from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask

from fileservice.access import (
    AccessFile,
    Action,
    Forbidden,
    Scope,
    anonymous,
)
from fileservice.web import door
from fileservice.web.authentication import Authenticator
from fileservice.web.door import requires
from tests.access.rules import SECRET, token
from tests.web.application import application, door_with


def test_a_view_that_declares_no_action_is_an_error_at_start(tmp_path: Path) -> None:
    app = Flask(__name__)
    app.add_url_rule(
        "/forgotten", view_func=test_a_view_that_declares_no_action_is_an_error_at_start
    )
    with pytest.raises(TypeError, match="does not declare its action"):
        door.register(app, door_with(Authenticator(anonymous(Scope)), root=tmp_path))


def test_a_view_that_is_registered_later_and_declares_no_action_is_never_called(
    tmp_path: Path,
) -> None:
    app = application(tmp_path)
    app.add_url_rule("/forgotten", view_func=lambda: "reached")
    assert app.test_client().get("/forgotten").status_code == 500


def test_the_decision_comes_before_the_path_is_parsed(tmp_path: Path) -> None:
    client = application(tmp_path, ANONYMOUS="none").test_client()
    for path in ("/download/a.txt", "/download/%00", "/download/a/b"):
        assert client.get(path).status_code == 401


def test_options_need_no_credentials(tmp_path: Path) -> None:
    client = application(tmp_path, ANONYMOUS="none").test_client()
    assert client.options("/upload/a.txt").status_code == 204


def test_wrong_credentials_do_not_make_a_request_anonymous(tmp_path: Path) -> None:
    client = application(tmp_path).test_client()
    assert client.get("/download").status_code == 200
    response = client.get("/download", headers={"Authorization": "Bearer wrong"})
    assert response.status_code == 401
    schemes = [line.split()[0] for line in response.headers.getlist("WWW-Authenticate")]
    assert schemes == ["Bearer", "Basic"]


def test_door_says_who_asks_for_the_access_log_also_if_it_refuses(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text(token(scopes='["list"]'))
    authenticator = Authenticator(anonymous(Scope), AccessFile(path))
    for action in (Action.LIST, Action.DELETE):
        environ = {"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": f"Bearer {SECRET}"}
        with suppress(Forbidden):
            door_with(authenticator, root=tmp_path).admit(environ, action)
        assert environ["REMOTE_USER"] == "token:ci"
    environ = {"REQUEST_METHOD": "GET"}
    door_with(authenticator, root=tmp_path).admit(environ, Action.LIST)
    assert "REMOTE_USER" not in environ


def test_requires_marks_the_view_itself() -> None:
    @requires(Action.READ)
    def view() -> None: ...

    assert door.declared_action(view) is Action.READ
