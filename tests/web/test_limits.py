"""Limits as the door applies them, under a server that does not say what it sends."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from fileservice.access import Action, Scope, Unauthenticated, anonymous, open_limits
from fileservice.access_setting_parsers import parse_failure_limit
from fileservice.web import door, problem_pages
from fileservice.web.authentication import Authenticator
from fileservice.web.door import requires
from tests.access.rules import SECRET, token
from tests.web.application import application, door_with

WRONG = {"Authorization": "Bearer wrong"}
RIGHT = {"Authorization": f"Bearer {SECRET}"}


def client_of(root: Path, **settings: str) -> FlaskClient:
    file = root / "access.toml"
    file.write_text(token(scopes='["list", "read", "write"]'))
    settings = {"AUTH_FAILURE_LIMIT": "3/hour"} | settings
    return application(root / "store", ACCESS_FILE=str(file), **settings).test_client()


def statuses(client: FlaskClient, number: int, path: str = "/download", **of: Any) -> list[int]:
    return [client.get(path, **of).status_code for _ in range(number)]


def test_missing_credentials_are_no_failure(tmp_path: Path) -> None:
    client = client_of(tmp_path, ANONYMOUS="none")
    assert statuses(client, 10) == [401] * 10
    assert statuses(client, 1, headers=RIGHT) == [200]


def test_right_credentials_without_the_scope_are_no_failure(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    answers = [client.delete("/download/a.txt", headers=RIGHT) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [403] * 10
    assert statuses(client, 1, headers=RIGHT) == [200]


def test_credentials_of_every_scheme_and_none_at_all_are_counted(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    for value in ("Basic OnNlY3JldA==", "Negotiate abc", ""):
        assert statuses(client, 1, headers={"Authorization": value}) == [401]
    assert statuses(client, 1, headers=WRONG) == [429]


def test_an_address_with_wrong_credentials_is_refused_on_every_path(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    statuses(client, 3, headers=WRONG)
    for path in ("/upload", "/download", "/download/a.txt", "/healthz", "/static/page.css"):
        if client.get(path).status_code != 404:
            assert statuses(client, 1, path, headers=WRONG) == [429], path


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("192.0.2.1", "192.0.2.2", 401),
        ("192.0.2.1", "::ffff:192.0.2.1", 429),
        ("2001:db8::1", "2001:db8::2", 429),
        ("2001:db8::1", "2001:db8:0:1::1", 401),
    ],
)
def test_failures_are_counted_by_address(
    tmp_path: Path, first: str, second: str, status: int
) -> None:
    client = client_of(tmp_path)
    statuses(client, 3, headers=WRONG, environ_base={"REMOTE_ADDR": first})
    answer = client.get("/download", headers=WRONG, environ_base={"REMOTE_ADDR": second})
    assert answer.status_code == status


def test_other_ways_of_showing_credentials_share_the_limit(tmp_path: Path) -> None:
    """A view that signs people in uses `Door.check_credentials`."""
    app = Flask(__name__, static_folder=None)
    limits = open_limits(1, parse_failure_limit("3/hour"), None, None)
    own_door = door_with(Authenticator(anonymous(Scope)), limits, root=tmp_path)
    checked = []

    @app.post("/sign-in")
    @requires(Action.PUBLIC)
    def sign_in() -> str:
        with own_door.check_credentials(request.environ, request.form["secret"]):
            checked.append(request.form["secret"])
            if request.form["secret"] != "right":
                raise Unauthenticated
        return "signed in"

    door.register(app, own_door)
    app.register_error_handler(Exception, problem_pages.report)
    client = app.test_client()

    def sign_in_with(secret: str) -> int:
        return client.post("/sign-in", data={"secret": secret}).status_code

    assert sign_in_with("right") == 200
    assert [sign_in_with("a"), sign_in_with("b")] == [401, 401]
    assert client.post("/sign-in", headers=WRONG, data={"secret": "c"}).status_code == 401
    assert [sign_in_with("d"), sign_in_with("other"), sign_in_with("right")] == [429, 429, 200]
    assert checked == ["right", "a", "b", "right"]


def test_requests_of_tokens_and_addresses_are_counted_apart(tmp_path: Path) -> None:
    client = client_of(tmp_path, RATE_LIMIT="2/hour")
    assert statuses(client, 3, headers=RIGHT) == [200, 200, 429]
    assert statuses(client, 3) == [200, 200, 429]
    assert statuses(client, 1, environ_base={"REMOTE_ADDR": "192.0.2.1"}) == [200]


def test_health_checks_and_preflight_requests_are_not_counted(tmp_path: Path) -> None:
    client = client_of(tmp_path, RATE_LIMIT="1/hour")
    assert statuses(client, 5, "/healthz") == [200] * 5
    assert [client.options("/upload/a.txt").status_code for _ in range(5)] == [204] * 5
    assert statuses(client, 2) == [200, 429]


def test_requests_that_are_refused_for_their_rights_are_counted(tmp_path: Path) -> None:
    client = client_of(tmp_path, RATE_LIMIT="2/hour", ANONYMOUS="none")
    assert statuses(client, 3) == [401, 401, 429]


def test_bytes_are_counted_where_the_server_does_not_say_what_it_sends(tmp_path: Path) -> None:
    client = client_of(tmp_path, RATE_LIMIT="5000B/hour")
    assert client.put("/upload/a.txt", data=b"a" * 2000).status_code == 201
    assert statuses(client, 3, "/download/a.txt") == [200, 200, 429]


def test_unfinished_uploads_are_counted_for_tokens_and_addresses_apart(tmp_path: Path) -> None:
    client = client_of(tmp_path, MAX_UNFINISHED_UPLOADS_PER_CLIENT="1", MIN_FREE_SPACE="0")

    def create(address: str, **fields: str) -> int:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Concat": "partial"}
        base = {"REMOTE_ADDR": address}
        return client.post("/tus/", headers=headers | fields, environ_base=base).status_code

    assert [create("192.0.2.1"), create("192.0.2.1"), create("192.0.2.2")] == [201, 429, 201]
    assert [create("192.0.2.1", **RIGHT), create("192.0.2.3", **RIGHT)] == [201, 429]
