"""What small requests cost: calls of Python functions, which do not depend on the machine."""

import pytest
from flask import Flask
from werkzeug.test import create_environ

from tests.support.counted_calls import counted_calls
from tests.web.application import application

KIB = 1024
MAX_CALLS = 185
"""For GET of 1 KiB, which took 583 when Flask answered it."""
MAX_CALLS_OF_UPLOAD = 315
"""For PUT of 1 KiB, which took 820 when Flask answered it."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    root = tmp_path_factory.mktemp("costs")
    app = application(root)
    app.test_client().put("/upload/small.txt", data=b"x" * KIB)
    app.test_client().put("/upload/large.txt", data=b"x" * 2048 * KIB)
    return app


def calls(
    app: Flask,
    path: str,
    *,
    expected: int,
    method: str = "GET",
    body: bytes | None = None,
    **fields: str,
) -> int:
    """Return how many calls of Python functions a request makes, when others have been made.

    The least of several counts: where seconds have passed, a request also sweeps expired files.
    {} in the path is another number for each of them.
    """
    started: list[str] = []
    counts: list[int] = []
    for number in range(5):
        environ = create_environ(path.format(number), method=method, headers=fields, data=body)
        with counted_calls() as counted:
            response = app.wsgi_app(environ, lambda status, _fields: started.append(status))
        response.close()
        assert started.pop().startswith(f"{expected} ")
        counts.append(counted.count)
    return min(counts[1:])


def test_costs_of_a_small_download_are_bounded(app: Flask) -> None:
    assert calls(app, "/download/small.txt", expected=200) <= MAX_CALLS


@pytest.mark.parametrize(
    ("name", "expected", "method", "fields"),
    [
        ("small.txt", 200, "HEAD", {}),
        ("small.txt", 304, "GET", {"If-None-Match": "*"}),
        ("none.txt", 404, "GET", {}),
        ("large.txt", 206, "GET", {"Range": "bytes=0-1048575"}),
    ],
)
def test_costs_of_other_answers_are_at_most_a_fifth_more(
    app: Flask, name: str, expected: int, method: str, fields: dict[str, str]
) -> None:
    whole = calls(app, "/download/small.txt", expected=200)
    other = calls(app, f"/download/{name}", expected=expected, method=method, **fields)
    assert other <= 1.2 * whole


def test_costs_of_a_small_upload_are_bounded(app: Flask) -> None:
    count = calls(app, "/upload/{}.txt", expected=201, method="PUT", body=b"x" * KIB)
    assert count <= MAX_CALLS_OF_UPLOAD
