"""Names, fields and paths that would end a line of the log or a field of an answer.

See also tests/serving/test_log.py and tests/web/test_representations.py.
"""

import io
import logging
from email.message import EmailMessage

import pytest

from fileservice.names import FileName
from fileservice.request_record import RequestRecord
from fileservice.serving import log, request_log
from fileservice.web import representations

FORGED = '\r\n127.0.0.1 - admin [now] "GET /forged HTTP/1.1" 200'
NAME = FileName.parse('report.pdf"; filename="page.html')


def logged(formatter: logging.Formatter) -> list[str]:
    """Return the lines that a record with forged text becomes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    record = logging.LogRecord("x", logging.INFO, "", 0, "asked for %s", (f"a{FORGED}",), None)
    handler.handle(record)
    return stream.getvalue().splitlines()


def accessed(**environ: str) -> str:
    """Return a line of the request log with forged text in the request line and in fields."""
    record = RequestRecord("GET", f"GET /{FORGED}", environ)
    record.end(0.0)
    return request_log.plain_line(record, 0.0)


def name_that_is_read(disposition: str) -> str | None:
    """Return the name that a parser takes which does not know the extended form (RFC 6266)."""
    message = EmailMessage()
    message["Content-Disposition"] = disposition.partition("; filename*")[0]
    return dict(message["Content-Disposition"].params).get("filename")


def test_a_record_is_one_line() -> None:
    assert len(logged(log.LineFormatter("%(message)s"))) == 1
    line = accessed(HTTP_USER_AGENT=f'x"{FORGED}', REMOTE_USER=f"ada{FORGED}")
    assert "\n" not in line
    assert '"x\\"' in line


def test_without_the_formatter_a_record_is_forged() -> None:
    assert len(logged(logging.Formatter("%(message)s"))) == 2


def test_without_escaping_an_access_is_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_quoted", lambda text: text)
    assert "\n" in accessed()


def test_a_name_adds_no_parameter_to_content_disposition() -> None:
    value = representations.content_disposition("attachment", NAME)
    assert name_that_is_read(value) == "report.pdf_; filename=_page.html"


def test_without_the_replacement_a_name_adds_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoReplacement:
        @staticmethod
        def sub(_pattern: str, _by: str, text: str) -> str:
            return text

    monkeypatch.setattr(representations, "re", NoReplacement)
    value = representations.content_disposition.__wrapped__("attachment", NAME)
    assert name_that_is_read(value) != "report.pdf_; filename=_page.html"
    assert 'filename="page.html"' in value
