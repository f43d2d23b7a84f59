"""Header fields that name a person: who may send them, and what they change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.access.rules import SECRET, token
from tests.support.rows import every_row
from tests.web.application import application, published

PROXY, CLIENT = "10.0.0.1", "192.0.2.7"
RULES = f"""
{token("ci", scopes='["list", "write"]')}
[users.ada]
scopes = ["list", "read"]
[users."Zo\u00eb"]
scopes = ["list"]
[groups.staff]
scopes = ["list"]
[groups.writers]
scopes = ["write"]
[groups."role:owner"]
scopes = ["delete"]
"""


@pytest.fixture
def app_with(tmp_path: Path) -> Callable[..., Flask]:
    def make(**settings: str) -> Flask:
        (tmp_path / "access.toml").write_text(RULES)
        return application(
            tmp_path / "store",
            **{
                "ANONYMOUS": "none",
                "TRUSTED_PROXIES": "10.0.0.0/8",
                "ACCESS_FILE": str(tmp_path / "access.toml"),
                "IDENTITY_HEADER": "X-Remote-User",
                "IDENTITY_GROUPS_HEADER": "X-Remote-Groups",
            }
            | settings,
        )

    return make


@pytest.fixture
def client(app_with: Callable[..., Flask]) -> FlaskClient:
    return app_with().test_client()


def ask(client: FlaskClient, call: str, peer: str = PROXY, **fields: str) -> int:
    """Make a call; the words in the names of fields are separated by one underscore each."""
    return answer(client, call, peer, **fields).status_code


def answer(client: FlaskClient, call: str, peer: str = PROXY, **fields: str) -> Any:
    method, _, path = call.partition(" ")
    environ = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    data = b"text\n" if method == "PUT" else None
    base = {"REMOTE_ADDR": peer}
    return client.open(path, method=method, data=data, environ_base=base, environ_overrides=environ)


LIST, PUT = "GET /download", "PUT /upload/a.txt"


def test_a_person_has_the_scopes_of_the_user_and_of_its_groups(client: FlaskClient) -> None:
    ada = {"x_remote_user": "ada"}
    assert ask(client, PUT, **ada) == 403
    assert ask(client, PUT, **ada, x_remote_groups="writers") == 201
    assert ask(client, "GET /download/a.txt", **ada) == 200
    assert ask(client, "DELETE /download/a.txt", **ada, x_remote_groups="writers") == 403
    owner = "staff, role:owner"
    assert ask(client, "DELETE /download/a.txt", **ada, x_remote_groups=owner) == 204


def test_a_person_of_a_group_need_not_be_named(client: FlaskClient) -> None:
    assert ask(client, LIST, x_remote_user="bob", x_remote_groups="staff") == 200
    assert ask(client, PUT, x_remote_user="bob", x_remote_groups="staff") == 403


def test_a_person_whom_nobody_named_may_do_nothing(client: FlaskClient) -> None:
    for groups in ("", "strangers", "Staff", "staf"):
        assert ask(client, LIST, x_remote_user="bob", x_remote_groups=groups) == 403
    assert ask(client, LIST, x_remote_user="Ada") == 403


def test_a_person_without_rights_does_not_get_those_of_strangers(
    app_with: Callable[..., Flask],
) -> None:
    client = app_with(ANONYMOUS="list,read").test_client()
    assert ask(client, LIST) == 200
    assert ask(client, LIST, x_remote_user="bob") == 403


def test_groups_without_a_person_are_nobody(client: FlaskClient) -> None:
    assert ask(client, LIST, x_remote_groups="staff") == 401
    assert ask(client, LIST, x_remote_user="", x_remote_groups="staff") == 401
    assert ask(client, LIST, x_remote_user=" ", x_remote_groups="staff") == 401


def test_groups_count_only_where_a_field_for_them_is_set(app_with: Callable[..., Flask]) -> None:
    client = app_with(IDENTITY_GROUPS_HEADER="").test_client()
    assert ask(client, PUT, x_remote_user="ada", x_remote_groups="writers") == 403


@every_row("peer", [CLIENT, "127.0.0.1", "::1", "11.0.0.1", "::10.0.0.1", "here"])
def test_the_fields_of_others_than_trusted_proxies_change_nothing(
    client: FlaskClient, peer: str
) -> None:
    for fields in (
        {"x_remote_user": "ada"},
        {"x_remote_user": "ada", "x_remote_groups": "staff"},
        {"x_remote_user": "ada,ada"},
        {"x_remote_user": "\xff"},
        {"x_remote_user": "ada", "x_forwarded_for": PROXY},
        {"x_remote_user": "ada", "x_forwarded_for": f"{PROXY}, {PROXY}"},
        {"x_remote_user": "ada", "x_real_ip": PROXY, "forwarded": f"for={PROXY}"},
    ):
        assert ask(client, LIST, peer, **fields) == 401, fields


@every_row("client_address", [CLIENT, "10.0.0.2", PROXY])
def test_whom_the_proxy_names_does_not_depend_on_the_address_of_the_client(
    client: FlaskClient, client_address: str
) -> None:
    fields = {"x_remote_user": "ada", "x_forwarded_for": client_address}
    assert ask(client, LIST, **fields) == 200
    assert ask(client, LIST, CLIENT, **fields) == 401


@every_row("name", ["ada,", "ada,ada", "bob,ada", ",ada", "\xff", "a\x01", "x" * 256])
def test_a_trusted_proxy_that_does_not_name_one_person_is_refused(
    app_with: Callable[..., Flask], name: str
) -> None:
    client = app_with(ANONYMOUS="list").test_client()
    for call in (LIST, PUT, "GET /upload"):
        response = answer(client, call, x_remote_user=name)
        assert response.status_code == 400
        assert response.get_json()["code"] == "bad-request"
        assert "proxy" in response.get_json()["detail"]
        assert name not in response.text


def test_a_name_is_read_as_utf_8(client: FlaskClient) -> None:
    assert ask(client, LIST, x_remote_user="Zo\u00eb".encode().decode("latin-1")) == 200
    assert ask(client, LIST, x_remote_user="Zo\u00eb") == 400  # these are not bytes of UTF-8
    decomposed = "Zoe\u0308".encode().decode("latin-1")
    assert ask(client, LIST, x_remote_user=decomposed) == 403


def test_authorization_comes_first(client: FlaskClient, tmp_path: Path) -> None:
    bearer = {"authorization": f"Bearer {SECRET}"}
    assert ask(client, PUT, x_remote_user="ada", **bearer) == 201
    assert published(tmp_path / "store") == ["a.txt"]
    assert ask(client, "GET /download/a.txt", x_remote_user="ada", **bearer) == 403
    for wrong in ("Bearer wrong", "Basic YTpi", "Negotiate abc", ""):
        assert ask(client, LIST, x_remote_user="ada", authorization=wrong) == 401
    # What the proxy says is then not even looked at.
    assert ask(client, LIST, x_remote_user="ada,bob", **bearer) == 200


def test_without_the_setting_no_field_names_anybody(app_with: Callable[..., Flask]) -> None:
    client = app_with(IDENTITY_HEADER="", IDENTITY_GROUPS_HEADER="").test_client()
    for field in ("x_remote_user", "remote_user", "x_forwarded_user", ""):
        assert ask(client, LIST, **{field: "ada"}) == 401


def test_variables_of_a_server_are_not_header_fields(client: FlaskClient) -> None:
    environ = {"REMOTE_USER": "ada", "X_REMOTE_USER": "ada", "HTTP_REMOTE_USER": "ada"}
    response = client.get(
        "/download", environ_base={"REMOTE_ADDR": PROXY}, environ_overrides=environ
    )
    assert response.status_code == 401


EVIL = {"origin": "https://evil.example", "x_remote_user": "ada", "x_remote_groups": "writers"}


class TestPagesOfOtherSites:
    """The proxy names the person for whatever page sends a request."""

    def test_they_change_nothing(self, client: FlaskClient, tmp_path: Path) -> None:
        assert ask(client, PUT, **EVIL) == 403
        assert ask(client, PUT, **EVIL, sec_fetch_site="cross-site") == 403
        assert published(tmp_path / "store") == []
        own = EVIL | {"origin": "http://localhost"}
        assert ask(client, PUT, **own, sec_fetch_site="same-origin") == 201

    @pytest.mark.parametrize("peer", [PROXY, CLIENT])
    def test_where_all_origins_are_allowed_they_get_nothing_that_the_person_may_have(
        self, app_with: Callable[..., Flask], tmp_path: Path, peer: str
    ) -> None:
        client = app_with(CORS_ORIGINS="*", ANONYMOUS="list").test_client()
        response = answer(client, PUT, peer, **EVIL)
        if peer == CLIENT:  # who is a stranger, whatever the fields say
            assert response.status_code == 401
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            return
        assert response.get_json()["code"] == "cross-site"
        assert published(tmp_path / "store") == []
        listed = answer(client, LIST, peer, **EVIL)
        assert listed.status_code == 200
        assert "Access-Control-Allow-Origin" not in listed.headers
        bearer = EVIL | {"authorization": f"Bearer {SECRET}"}
        assert ask(client, PUT, peer, **bearer) == 201

    def test_a_preflight_lets_no_script_name_a_person(self, app_with: Callable[..., Flask]) -> None:
        for origins in ("*", "https://evil.example"):
            client = app_with(CORS_ORIGINS=origins).test_client()
            response = answer(
                client,
                "OPTIONS /upload/a.txt",
                origin="https://evil.example",
                access_control_request_method="PUT",
                access_control_request_headers="x-remote-user,x-remote-groups,x-other",
                x_remote_user="ada",
            )
            assert response.headers["Access-Control-Allow-Origin"] == origins
            assert response.headers["Access-Control-Allow-Headers"] == "x-other"
