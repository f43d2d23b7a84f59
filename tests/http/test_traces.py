"""Spans of requests, as a collector of OpenTelemetry receives them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.collector import SERVER, Collector, ReceivedSpan, collector
from tests.support.links import LinkMaker
from tests.support.servers import ROOT, LiveServer
from tests.support.wire import ask, eventually

TEXT = b"some text\n"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def running() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def traced(
    start_module_server: Callable[..., LiveServer], running: Collector
) -> Iterator[LiveServer]:
    """A server behind a trusted proxy, whose spans the collector receives."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.environ.items():
            patch.setenv(name, value)
        yield start_module_server(TRACES="otlp", TRUSTED_PROXIES="127.0.0.1", WORKERS="2")


def span_of(running: Collector, request_id: str) -> ReceivedSpan:
    """Wait for the span of a request."""

    def found() -> list[ReceivedSpan]:
        return [span for span in running.spans() if span.request_id == request_id]

    eventually(found)
    (span,) = found()
    return span


def test_span_of_an_upload_belongs_to_the_trace_of_the_proxy(
    traced: LiveServer, running: Collector
) -> None:
    fields = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Forwarded-For": "192.0.2.7"}
    answer = httpx.put(f"{traced.url}/upload/private-upload.txt", content=TEXT, headers=fields)
    assert answer.status_code == 201
    span = span_of(running, answer.headers["X-Request-Id"])
    assert (span.name, span.kind) == ("PUT /upload/<name>", SERVER)
    assert (span.trace_id, span.parent_id) == (TRACE, SPAN)
    assert span.end > span.start
    assert not span.is_error
    assert span.attributes["http.route"] == "/upload/<name>"
    assert span.attributes["http.response.status_code"] == 201
    assert span.attributes["http.request.body.size"] == len(TEXT)
    assert span.attributes["client.address"] == "192.0.2.7"
    assert span.attributes["fileservice.action"] == "write"
    assert span.attributes["fileservice.stage.receive"] > 0
    assert span.resource["service.name"] == "fileservice"


def test_request_without_a_trace_begins_one_with_its_own_id(
    traced: LiveServer, running: Collector
) -> None:
    answer = httpx.get(f"{traced.url}/download/absent.txt")
    request_id = answer.headers["X-Request-Id"]
    span = span_of(running, request_id)
    assert (span.trace_id, span.parent_id) == (request_id, "")
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["fileservice.problem"] == "not-found"


def test_head_that_cannot_be_parsed_has_a_span(traced: LiveServer, running: Collector) -> None:
    answer = ask(traced, b"GET / secret HTTP/1.1\r\n\r\n")
    span = span_of(running, answer.json()["request-id"])
    assert span.attributes["http.response.status_code"] == 400
    assert span.attributes["fileservice.outcome"] == "refused"


def test_request_of_a_trace_that_is_not_sampled_has_no_span(
    traced: LiveServer, running: Collector
) -> None:
    fields = {"traceparent": f"00-{'1' * 32}-{SPAN}-00"}
    with httpx.Client(base_url=traced.url) as client:  # one connection, so one worker
        unsampled = client.get("/download", headers=fields).headers["X-Request-Id"]
        span_of(running, client.get("/download").headers["X-Request-Id"])
    assert unsampled not in {span.request_id for span in running.spans()}


def test_no_name_no_secret_and_no_query_leaves_the_service(
    traced: LiveServer, running: Collector
) -> None:
    (traced.store / "private-name.txt").write_bytes(TEXT)
    link = LinkMaker.of(traced).download("private-name.txt")
    with httpx.Client(base_url=traced.url) as client:
        fetched = client.get(link.file)
        assert fetched.content == TEXT
        for path in ("/download?prefix=private-name", "/private-name", f"/s/x{link.secret}"):
            client.get(path, headers={"Referer": f"{traced.url}{link.path}"})
        client.request("PRIVATE-NAME", "/download")
        last = client.get("/livez", headers={"User-Agent": link.secret})
    assert span_of(running, fetched.headers["X-Request-Id"]).name == "GET /s/<link_secret>/<name>"
    span_of(running, last.headers["X-Request-Id"])
    received = b"".join(running.bodies).lower()
    assert link.secret.lower().encode() not in received
    assert b"private" not in received


def test_spans_of_a_worker_that_stops_are_received(
    start_server: Callable[..., LiveServer], running: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**running.environ, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}.items():
        monkeypatch.setenv(name, value)
    server = start_server(TRACES="otlp")

    def last_span_is_received() -> bool:
        eventually(lambda: can_send_spans(server))
        request_id = httpx.get(f"{server.url}/download").headers["X-Request-Id"]
        assert server.stop() == 0
        if request_id in {span.request_id for span in running.spans()}:
            return True
        server.start()
        return False

    # A worker that stops waits only a second for it, which is short on a machine that is busy.
    eventually(last_span_is_received)
    assert "Traceback" not in server.log()


def can_send_spans(server: LiveServer) -> bool:
    """Whether the process that sends them has started: then it ignores SIGTERM."""
    (worker,) = server.workers()
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    ignored = [
        int(mask, 16)
        for child in children
        for mask in re.findall(r"^SigIgn:\t(\w+)$", Path(f"/proc/{child}/status").read_text(), re.M)
    ]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in ignored)


@pytest.mark.usefixtures("over_a_directory")
def test_service_without_the_packages_does_not_start_and_says_what_to_install(
    tmp_path: Path,
) -> None:
    (tmp_path / "opentelemetry.py").write_text("")  # hides them
    environ = {name: text for name, text in os.environ.items() if "FILESERVICE" not in name}
    environ |= {
        "FILESERVICE_STORE_URL": str(tmp_path / "store"),
        "FILESERVICE_TRACES": "otlp",
        "PYTHONPATH": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("fileservice cannot start: FILESERVICE_TRACES='otlp': OpenTelemetry is")
    assert last.endswith("pip install 'fileservice[otel]'")
