"""The absolute URLs that responses contain."""

from flask import Flask

from fileservice.web.urls import base_url, download_url
from tests.support.rows import every_row

APP = Flask(__name__)


@every_row(
    ("environ", "expected"),
    [
        ({}, "http://localhost"),
        ({"HTTP_HOST": "my_service:8000"}, "http://my_service:8000"),
        ({"HTTP_HOST": "a.example", "wsgi.url_scheme": "https"}, "https://a.example"),
        ({"HTTP_HOST": "a.example", "SCRIPT_NAME": "/files"}, "http://a.example/files"),
    ],
)
def test_the_base_url_is_where_the_client_reached_the_service(
    environ: dict[str, str], expected: str
) -> None:
    with APP.test_request_context("/upload/a.txt", environ_overrides=environ):
        assert base_url(None) == expected


def test_a_public_url_takes_precedence_over_the_request() -> None:
    with APP.test_request_context(headers={"Host": "a.example"}):
        assert base_url("https://b.example/files") == "https://b.example/files"


@every_row(
    ("name", "path"),
    [("a.txt", "a.txt"), ("a b?#%.txt", "a%20b%3F%23%25.txt"), ("\u00e4.txt", "%C3%A4.txt")],
)
def test_a_name_is_one_percent_encoded_segment_of_its_url(name: str, path: str) -> None:
    assert download_url("https://a.example", name) == f"https://a.example/download/{path}"
