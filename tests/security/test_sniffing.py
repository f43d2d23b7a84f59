"""Content that a browser would take for another type than its name says.

See also tests/upload/inspection, and in a browser tests/browser/test_uploaded_content.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.web import file_response

HTML = b"<!doctype html><title>x</title><script>alert(1)</script>\n"
SNIFFED = {"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml"}


def may_run(answer: TestResponse) -> bool:
    """Return whether a browser may take what it gets for a page of the service."""
    fields = answer.headers
    declares_page = answer.mimetype in SNIFFED
    is_kept = "sandbox" in fields.get("Content-Security-Policy", "")
    return (declares_page or fields.get("X-Content-Type-Options") != "nosniff") and not is_kept


def test_content_that_is_not_what_its_name_says_is_refused(
    client_of: Callable[..., FlaskClient],
) -> None:
    client = client_of()
    for name in ("page.png", "page.pdf", "page.zip", "page.docx", "page.gif"):
        assert client.put(f"/upload/{name}", data=HTML).status_code == 415, name


def test_what_a_browser_gets_is_not_sniffed(
    client_of: Callable[..., FlaskClient], root: Path
) -> None:
    client = client_of()
    for name in ("page.txt", "page.html", "page.png", "page", "page.svg"):
        (root / name).write_bytes(HTML)
        for query in ("", "?inline=1"):
            assert not may_run(client.get(f"/download/{name}{query}")), name


def test_without_the_fields_of_files_a_browser_sniffs(
    client_of: Callable[..., FlaskClient], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_response, "_FILE_HEADERS", ())
    (root / "page.txt").write_bytes(HTML)
    assert may_run(client_of().get("/download/page.txt?inline=1"))
