"""Forms that make the parser work without end, or disagree with others about where a file ends.

See also tests/protocols/test_forms.py and tests/http/test_upload_forms.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.protocols import forms
from tests.support.wire import form, part
from tests.web.application import TEXT, published

FILE = part("file", TEXT, "a.txt")


def send(client: FlaskClient, body: bytes, boundary: str = "XboundaryX") -> TestResponse:
    content_type = f"multipart/form-data; boundary={boundary}"
    return client.post("/upload", data=body, content_type=content_type)


FLOODS = {
    "parts before the file": form(*[part("x", b"")] * 1000, FILE),
    "parts after the file": form(FILE, *[part("x", b"")] * 1000),
    "bytes before the file": form(part("x", b"y" * (1 << 20)), FILE),
    "bytes after the file": form(FILE, part("x", b"y" * (1 << 20))),
    "fields of a part": form(part("x", b"", None, *[f"X-{n}: y" for n in range(3000)]), FILE),
    "bytes before the first delimiter": b"y" * (1 << 20) + b"\r\n" + form(FILE),
    "bytes after the last delimiter": form(FILE) + b"y" * (1 << 20),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_in_a_form_is_refused(
    client_of: Callable[..., FlaskClient], root: Path, flood: str
) -> None:
    assert send(client_of(), FLOODS[flood]).status_code == 400
    assert published(root) == []


@pytest.mark.parametrize("flood", ["parts before the file", "bytes before the file"])
def test_without_the_limits_a_flood_is_read(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch, flood: str
) -> None:
    monkeypatch.setattr(forms, "_MAX_PARTS", 10**6)
    monkeypatch.setattr(forms, "_MAX_BYTES_AROUND_FILE", 1 << 30)
    assert send(client_of(), FLOODS[flood]).status_code == 201


RESEMBLING = b"one\r\n--XboundaryXtwo\r\n--XboundaryX-\r\nthree\n"


def stored(client: FlaskClient, root: Path) -> bytes:
    answer = send(client, form(part("file", RESEMBLING, "a.txt")))
    return (root / "a.txt").read_bytes() if answer.status_code == 201 else b""


def test_what_resembles_a_delimiter_does_not_end_a_file(
    client_of: Callable[..., FlaskClient], root: Path
) -> None:
    assert stored(client_of(), root) == RESEMBLING


def test_without_the_rest_of_its_line_a_delimiter_ends_a_file_too_early(
    client_of: Callable[..., FlaskClient], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_AFTER_DELIMITER", b"()")
    assert stored(client_of(), root) != RESEMBLING


@pytest.mark.parametrize("boundary", ["", "x" * 5000, '"a\\"b"', "a\tb", "\xe9"])
def test_a_strange_boundary_stores_nothing_and_is_no_fault(
    client_of: Callable[..., FlaskClient], root: Path, boundary: str
) -> None:
    assert send(client_of(), form(FILE), boundary).status_code in (400, 415)
    assert published(root) == []


def test_a_part_whose_name_parsers_could_disagree_about_is_refused(
    client_of: Callable[..., FlaskClient], root: Path
) -> None:
    client = client_of()
    for fields in ('filename="a.txt"; filename="b.txt"', 'filename="a.txt"; FileName=b.txt'):
        body = form(f'Content-Disposition: form-data; name="file"; {fields}\r\n\r\nx'.encode())
        assert send(client, body).status_code == 400
    assert published(root) == []
