"""Lines of the request log, in text and in JSON."""

import json
import logging
import secrets
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime

import pytest

from fileservice.request_record import RequestRecord, StageTimes
from fileservice.serving.log_writer import LogWriter
from fileservice.serving.request_log import RequestLog, json_line, plain_line
from tests.support.counted_calls import counted_calls

LineOf = Callable[[RequestRecord, float], str]
NOW = 1_800_000_000.0
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
    made.end(0.0)
    return made


@pytest.mark.parametrize("line_of", [plain_line, json_line])
def test_a_line_is_one_line_whatever_the_client_sends(
    line_of: LineOf,
) -> None:
    line = line_of(record(FORGED), NOW)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_line_in_json_has_what_was_sent_as_it_was() -> None:
    made = record(FORGED)
    fields = json.loads(json_line(made, NOW))
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
def test_no_line_has_a_secret(line_of: LineOf, where: str) -> None:
    secret = secrets.token_urlsafe(32)
    assert secret not in line_of(record(where.format(secret)), NOW)


@pytest.mark.parametrize("line_of", [plain_line, json_line])
def test_no_line_has_a_short_wrong_secret_of_a_link(
    line_of: LineOf,
) -> None:
    made = RequestRecord("GET", "GET /s/short-guess HTTP/1.1")
    assert "short-guess" not in line_of(made, NOW)


@pytest.mark.parametrize("line_of", [plain_line, json_line])
def test_long_texts_of_clients_are_not_kept_in_memory(line_of: LineOf) -> None:
    tracemalloc.start()
    try:
        for number in range(1000):
            made = record("a")
            made.referer = made.agent = f"{number}{8000 * 'x'}"
            line_of(made, NOW)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 20  # all of them are 16 MB


def test_lines_are_written_together() -> None:
    written: list[list[str]] = []
    logger = logging.Logger("lines")
    logger.addHandler(logging.StreamHandler())
    log = RequestLog(logger, as_json=False)
    log.write = written.append
    log.observe([record("a") for _ in range(3)], (), 0.0)
    log.observe((), (), 0.0)
    assert [len(lines) for lines in written] == [3]


def test_each_line_is_a_message_where_there_is_no_stream() -> None:
    messages: list[str] = []

    class Messages(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger = logging.Logger("lines", logging.INFO)
    logger.addHandler(Messages())
    log = RequestLog(logger, as_json=False)
    log.observe([record("a") for _ in range(3)], (), 0.0)
    assert len(messages) == 3
    assert all(message.isprintable() for message in messages)


def test_a_line_has_the_time_at_which_its_request_ended() -> None:
    made = record("a")
    before = time.time()
    made.end(time.monotonic() - 5)
    written: list[str] = []
    log = RequestLog(logging.Logger("lines"), as_json=True)
    log.write = written.extend
    log.observe([made], (), 0.0)
    (line,) = written
    logged = datetime.fromisoformat(json.loads(line)["time"]).timestamp()
    assert before - 6 < logged < time.time() - 4


def test_no_line_of_many_is_left_out_where_each_is_a_message() -> None:
    messages: list[str] = []

    class Messages(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger = logging.Logger("lines", logging.INFO)
    logger.addHandler(Messages())
    log, writer = RequestLog(logger, as_json=False), LogWriter(logger)
    log.write = writer.write
    ended = [record(f"a{number}b") for number in range(3000)]
    log.observe(ended, (), 0.0)
    writer.close(30)
    assert len(messages) == len(ended)
    assert all(f"a{number}b" in message for number, message in enumerate(messages))
    assert all(message.isprintable() for message in messages)


@pytest.mark.parametrize(
    ("line_of", "expected"),
    [(plain_line, "[15/Jan/2027:08:00:00 +0000]"), (json_line, '"2027-01-15T08:00:00.500Z"')],
)
def test_a_line_has_the_time_in_the_usual_form(
    monkeypatch: pytest.MonkeyPatch, line_of: LineOf, expected: str
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert expected in line_of(record("a"), NOW + 0.5)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_line_of_a_request_costs_few_calls() -> None:
    """Of functions in Python and in C, which do not depend on the machine."""
    written: list[str] = []
    log = RequestLog(logging.Logger("lines"), as_json=False)
    log.write = written.extend
    requests = [record("a") for _ in range(100)]
    with counted_calls(in_c=True) as calls:
        log.observe(requests, (), 0.0)
    assert len(written) == len(requests)
    assert calls.count <= 12 * len(requests)
