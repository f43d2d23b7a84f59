"""Lines of the request log, in text and in JSON."""

import json
import logging
import secrets
from collections.abc import Callable

import pytest

from fileservice.request_record import RequestRecord, StageTimes
from fileservice.serving.request_log import RequestLog, json_line, plain_line

FORGED = '"}\r\n{"event":"request"\u2028\x85\x1b[31m\ud800'


def record(text: str) -> RequestRecord:
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_USER": f"person:{text}",
        "HTTP_USER_AGENT": f"agent {text}",
        "HTTP_REFERER": f"http://files.example{text}",
    }
    made = RequestRecord("GET", f"GET {text} HTTP/1.1", environ)
    made.parent, made.status = "00-trace", 200
    made.stages = StageTimes(hash=0.25)
    return made


@pytest.mark.parametrize("line_of", [plain_line, json_line])
def test_a_line_is_one_line_whatever_the_client_sends(
    line_of: Callable[[RequestRecord], str],
) -> None:
    line = line_of(record(FORGED))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_line_in_json_has_what_was_sent_as_it_was() -> None:
    made = record(FORGED)
    fields = json.loads(json_line(made))
    assert fields["request"] == made.line
    assert fields["principal"] == f"person:{FORGED}"
    assert fields["agent"] == f"agent {FORGED}"
    assert fields["stages"] == {"hash": 0.25}
    assert fields["problem"] is None


@pytest.mark.parametrize("line_of", [plain_line, json_line])
@pytest.mark.parametrize(
    "where",
    [
        "/{0}",
        "/s/{0}",
        "/S/{0}/a.txt",
        "/s%2F{0}",
        "/download/fs_{0}",
        "/?t=fs_{0}",
    ],
)
def test_no_line_has_a_secret(line_of: Callable[[RequestRecord], str], where: str) -> None:
    secret = secrets.token_urlsafe(32)
    assert secret not in line_of(record(where.format(secret)))


@pytest.mark.parametrize("line_of", [plain_line, json_line])
def test_no_line_has_a_short_wrong_secret_of_a_link(
    line_of: Callable[[RequestRecord], str],
) -> None:
    made = RequestRecord("GET", "GET /s/short-guess HTTP/1.1")
    assert "short-guess" not in line_of(made)


def test_lines_are_written_together_in_a_moment() -> None:
    written: list[str] = []
    scheduled: list[Callable[[], None]] = []
    logger = logging.getLogger("test.request-log")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    stream = logging.StreamHandler()
    stream.emit = lambda entry: written.append(entry.getMessage())  # type: ignore[method-assign]
    logger.handlers[:] = [stream]
    log = RequestLog(logger, as_json=False)
    log.call_later = scheduled.append
    for _ in range(3):
        log.ended(record("a"))
    assert (len(written), len(scheduled)) == (0, 1)
    scheduled[0]()
    (text,) = written
    assert len(text.splitlines()) == 3
