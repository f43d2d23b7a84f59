"""Path parameters reach the views as parsed values, or the views are not called."""

from typing import Any

import pytest
from flask import Flask, jsonify
from werkzeug.test import create_environ, run_wsgi_app

from fileservice.names import BadName, FileName
from fileservice.web.errors import NoSuchFile
from fileservice.web.path_parameters import CONVERTERS, parse_path_parameters
from tests.support.rows import every_row

ROUTES = ["/upload/<new_file:value>", "/download/<stored_file:value>", "/tus/<upload:value>"]


@pytest.fixture(scope="module")
def app() -> Flask:
    """An application whose views return the type and the value of their argument."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters |= CONVERTERS
    app.before_request(parse_path_parameters)
    for route in ROUTES:
        app.add_url_rule(route, route, lambda value: jsonify(type(value).__name__, value))
    for error in (BadName, NoSuchFile):
        app.register_error_handler(error, lambda e: jsonify(type(e).__name__, str(e)))
    return app


def answer_to(app: Flask, path: bytes, method: str = "GET") -> Any:
    """The JSON of the answer to a request for this path, which is percent-decoded already."""
    environ = create_environ(method=method) | {"PATH_INFO": path.decode("latin-1")}
    body, status, _ = run_wsgi_app(app, environ, buffered=True)
    text = b"".join(body).decode()
    return app.json.loads(text) if status.startswith("200") and method != "OPTIONS" else status


@every_row("prefix", [b"/upload/", b"/download/"])
@every_row(
    ("raw", "name"),
    [
        (b"a.txt", "a.txt"),
        (b"a b+c%41.txt", "a b+c%41.txt"),
        ("\u00e4.txt".encode(), "\u00e4.txt"),
        ("a\u0308.txt".encode(), "\u00e4.txt"),
        ("\ufffd.txt".encode(), "\ufffd.txt"),
        (b"upload", "upload"),
    ],
)
def test_a_good_name_reaches_the_view_as_a_file_name(
    app: Flask, prefix: bytes, raw: bytes, name: str
) -> None:
    assert answer_to(app, prefix + raw) == [FileName.__name__, name]


BAD_NAMES = [b"a/b.txt", b"/a.txt", b"a.txt/", b"..", b"../a.txt", b".a", b"a\\b", b"a\0.txt",
             b"\xff.txt", b"\xc3.txt", b"a\nb.txt", b"x" * 256]  # fmt: skip


@every_row("raw", BAD_NAMES)
def test_a_bad_name_of_an_upload_raises_bad_name(app: Flask, raw: bytes) -> None:
    error, detail = answer_to(app, b"/upload/" + raw)
    assert error == "BadName"
    assert detail.startswith("the name ")


@every_row("raw", BAD_NAMES)
def test_a_bad_name_of_a_download_raises_no_such_file(app: Flask, raw: bytes) -> None:
    error, detail = answer_to(app, b"/download/" + raw)
    assert error == "NoSuchFile"
    assert detail == f"there is no file named {raw.decode(errors='replace')!r}"


@every_row("raw", [b"0123456789abcdef" * 2, b"a/b", b"\xff", b".."])
def test_an_upload_id_reaches_the_view_as_it_is(app: Flask, raw: bytes) -> None:
    assert answer_to(app, b"/tus/" + raw) == ["str", raw.decode("latin-1")]


@every_row("path", [b"//upload/a.txt", b"//download/a.txt"])
def test_slashes_before_the_path_are_not_removed(app: Flask, path: bytes) -> None:
    assert answer_to(app, path)[0] in ("BadName", "NoSuchFile")


@every_row("path", [b"/upload", b"/upload/", b"/download/", b"/tus/", b"/other/a"])
def test_a_path_without_a_parameter_does_not_match(app: Flask, path: bytes) -> None:
    assert answer_to(app, path) == "404 NOT FOUND"


@every_row("raw", BAD_NAMES)
def test_options_is_answered_for_any_name(app: Flask, raw: bytes) -> None:
    assert answer_to(app, b"/upload/" + raw, "OPTIONS") == "200 OK"


@every_row("raw", [b".a", b"\xff"])
def test_a_method_that_is_not_allowed_is_refused_before_the_name(app: Flask, raw: bytes) -> None:
    assert answer_to(app, b"/upload/" + raw, "PATCH") == "405 METHOD NOT ALLOWED"
