"""The application: in which order requests are checked, and that no route is left out."""

import re
from pathlib import Path

import pytest
from flask import Flask

from fileservice.web.path_parameters import CONVERTERS
from tests.support.rows import every_row
from tests.web.application import application

CHECKS = [
    ("bad-request", {"Host": "a b"}),
    ("wrong-host", {"Host": "evil.example"}),
    ("cross-site", {"Sec-Fetch-Site": "cross-site"}),
    ("bad-name", {}),
]
"""Problems of a request for a bad name, from the first check on, and the field that causes each."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return application(tmp_path_factory.mktemp("app"))


@every_row("first", range(len(CHECKS)))
def test_the_first_check_that_fails_answers_the_request(app: Flask, first: int) -> None:
    environ = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for _, fields in reversed(CHECKS[first:])
        for name, value in fields.items()
    }
    response = app.test_client().put("/upload/.a", data=b"text", environ_overrides=environ)
    assert response.json["code"] == CHECKS[first][0]


def test_every_path_parameter_but_those_of_assets_is_parsed(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/assets/"):
            # The secret of a link is compared as it is, and is the name of nothing.
            converters = re.findall(r"<(?:(\w+):)?\w+>", rule.rule.replace("<link_secret>", ""))
            assert set(converters) <= CONVERTERS.keys(), rule


def test_every_upload_and_download_has_a_parsed_file_name(app: Flask) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.arguments}
    assert {
        "/upload/<new_file:name>",
        "/download/<stored_file:name>",
        "/tus/<upload:upload>",
        "/resume/<upload:upload>",
    } <= rules


@every_row("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_path_is_not_found_whatever_the_method(app: Flask, method: str) -> None:
    assert app.test_client().open("/nothing", method=method).status_code == 404


def test_origins_may_use_the_service_only_if_they_are_configured(tmp_path: Path) -> None:
    headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    for origins, status in (("", 403), ("https://app.example", 201)):
        client = application(tmp_path, CORS_ORIGINS=origins).test_client()
        assert client.put("/upload/a.txt", data=b"text\n", headers=headers).status_code == status
