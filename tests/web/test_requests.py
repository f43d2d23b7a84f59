"""Values that several routes read from a request."""

from werkzeug.test import create_environ

from fileservice.protocols.conditional import Conditions
from fileservice.web.requests import client_address, conditions, prefers_html
from tests.support.rows import every_row

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@every_row(
    ("accept", "expected"),
    [
        (FIREFOX, True),
        ("text/html", True),
        ("text/*;q=0.8, application/json;q=0.5", True),
        ("*/*", False),
        ("application/json", False),
        ("application/problem+json, text/html;q=0.5", False),
        ("text/html;q=0", False),
        ("", False),
        ("image/png", False),
        ("text/html," + "x/y," * 200, False),
    ],
)
def test_a_client_that_prefers_html_to_json_is_a_person(accept: str, expected: bool) -> None:
    environ = create_environ(headers={"Accept": accept})
    assert prefers_html(environ) is expected


def test_a_client_without_accept_is_a_program() -> None:
    environ = create_environ()
    assert prefers_html(environ) is False


def test_conditions_are_the_values_of_the_five_fields() -> None:
    fields = {
        "If-Match": '"a"',
        "If-None-Match": '"b"',
        "If-Modified-Since": "c",
        "If-Unmodified-Since": "d",
        "If-Range": '"e"',
    }
    environ = create_environ(headers=fields)
    assert conditions(environ) == Conditions('"a"', '"b"', "c", "d", '"e"')
    environ = create_environ()
    assert conditions(environ) == Conditions()


@every_row(("environ", "address"), [({"REMOTE_ADDR": "192.0.2.7"}, "192.0.2.7"), ({}, "")])
def test_a_peer_without_an_address_has_the_empty_one(environ: dict[str, str], address: str) -> None:
    assert client_address(environ) == address
