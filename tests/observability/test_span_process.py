"""The process that sends spans: it never holds up its worker, whatever the collector does."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileservice.observability import RequestSpans, Sampler, SpanProcess, check_spans
from fileservice.observability.request_spans import FIELDS, SpanFacts
from fileservice.request_record import RequestRecord
from tests.support.collector import Collector, collector
from tests.support.descriptors import count_descriptors
from tests.support.memory import resident
from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import eventually

LOGGER = "fileservice.observability.span_process"


@pytest.fixture
def running() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def environ(running: Collector) -> dict[str, str]:
    return {**os.environ, **running.environ}


def spans(count: int = 1) -> list[SpanFacts]:
    """The facts of requests."""
    described: list[SpanFacts] = []

    class Sink:
        def send(self, ended: list[SpanFacts]) -> None:
            described.extend(ended)

        def close(self, seconds: float) -> None:
            pass

    ended = []
    for _ in range(count):
        record = RequestRecord("GET", "", {"REMOTE_ADDR": "192.0.2.7"})
        record.route, record.status, record.seconds = "/download/<name>", 200, 0.01
        record.end(time.monotonic())
        ended.append(record)
    RequestSpans(Sampler.from_environ({}), Sink()).observe(ended, (), 0.0)
    return described


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_what_was_sent_is_received_before_the_process_ends(
    running: Collector, environ: dict[str, str]
) -> None:
    environ["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"  # only the end of the process sends anything
    process = SpanProcess(environ | {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=a"})
    sent = spans(1000)
    process.send(sent[:500])
    process.send(sent[500:])
    process.close(60)
    assert process.pid is None
    received = [f"00-{span.trace_id}-{span.span_id}-01" for span in running.spans()]
    assert sorted(received) == sorted(str(facts[FIELDS.index("trace_context")]) for facts in sent)
    assert {fields["x-key"] for fields in running.fields} == {"a"}


def test_secrets_of_the_service_are_not_given_to_the_process(environ: dict[str, str]) -> None:
    secrets = {"FILESERVICE_SECRET_KEY": "s" * 32, "AWS_SECRET_ACCESS_KEY": "a"}
    process = SpanProcess(environ | secrets)
    found = Path(f"/proc/{process.pid}/environ")
    # The kernel shows no variables until it has loaded the program.
    eventually(lambda: "OTEL_EXPORTER_OTLP_ENDPOINT=" in found.read_text())
    assert not set(re.findall("FILESERVICE_|AWS_SECRET", found.read_text()))
    process.close(60)


def test_collector_that_fails_and_recovers_is_logged_once_each(
    running: Collector, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    running.answer = lambda: 400  # which is not tried again
    environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{running.url}/v1/traces"
    process = SpanProcess(environ)
    for number in range(1, 4):
        process.send(spans())
        eventually(lambda number=number: running.refused >= number)
    running.answer = lambda: 200
    process.send(spans())
    eventually(lambda: process.send([]) or len(messages(caplog)) >= 2)
    process.close(60)
    assert len(running.spans()) == 1
    failed, recovered = messages(caplog)
    assert re.match(f"{running.url} does not receive spans: .*400", failed)
    assert recovered == f"{running.url} receives spans again"


def test_address_of_a_collector_that_is_down_is_logged_without_its_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    endpoint = f"http://secret:secret@127.0.0.1:{port}/secret/v1/traces?key=secret"
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "1.5"}
    process = SpanProcess({**os.environ, **environ, "OTEL_BSP_SCHEDULE_DELAY": "50"})
    process.send(spans())
    eventually(lambda: process.send([]) or messages(caplog))
    process.close(60)
    (message,) = messages(caplog)
    assert message.startswith(f"http://127.0.0.1:{port} does not receive spans: ")
    assert "secret" not in message


def test_process_that_takes_nothing_delays_nobody_and_is_not_waited_for(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    process = SpanProcess(environ)
    assert process.pid
    os.kill(process.pid, signal.SIGSTOP)
    many = spans(1000)
    for _ in range(20):  # several times as much as the pipe holds; one that waited would hang
        process.send(many)
    began = time.monotonic()
    process.close(0.5)
    assert time.monotonic() - began < 30
    assert process.pid is None
    assert messages(caplog) == ["the last spans were not received in time"]


@pytest.mark.thorough
def test_spans_that_were_left_out_are_counted_when_there_is_room_again(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    process = SpanProcess(environ)
    assert process.pid
    os.kill(process.pid, signal.SIGSTOP)
    many = spans(1000)
    for _ in range(20):
        process.send(many)
    os.kill(process.pid, signal.SIGCONT)
    eventually(lambda: process.send([]) or messages(caplog))
    process.close(60)
    assert re.fullmatch(r"1[0-9]000 spans were left out", messages(caplog)[0])


@pytest.mark.thorough
def test_process_that_was_killed_is_replaced(
    running: Collector, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    process = SpanProcess(environ, restart_seconds=0.0)
    killed = process.pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: process.send(spans()) or process.pid not in (killed, None))
    process.send(spans())
    process.close(60)
    process.send(spans())  # what ends while the worker does starts no process again
    assert process.pid is None
    assert len(running.spans()) >= 1
    assert messages(caplog)[0] == (
        "the process that sends spans has ended (-9); another one is started in 0 s"
    )


_GREENLETS = """
import os, signal, sys, time
from gevent import monkey
from fileservice.observability import SpanProcess

process = SpanProcess(os.environ, restart_seconds=0.0)  # as before a worker replaces anything
monkey.patch_all()
killed = process.pid
os.kill(killed, signal.SIGKILL)
while process.pid in (killed, None):
    process.send([])
    process.send(%s)
    time.sleep(0.01)
process.send(%s)
process.close(60)
process.send([])
assert process.pid is None
"""


def test_process_that_was_killed_is_replaced_where_gevent_has_replaced_the_library(
    running: Collector, environ: dict[str, str]
) -> None:
    program = _GREENLETS % (spans(), spans())
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(running.spans()) >= 1


def test_process_ends_when_its_worker_was_killed(
    environ: dict[str, str], running: Collector
) -> None:
    worker = (
        "import json, os, signal, sys; from fileservice.observability import SpanProcess;"
        " SpanProcess(os.environ).send(json.loads(sys.argv[1]));"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", worker, json.dumps(spans(3))]
    assert subprocess.run(command, cwd=ROOT, env=environ).returncode == -signal.SIGKILL
    eventually(lambda: len(running.spans()) == 3)


@pytest.mark.thorough
def test_memory_does_not_grow_while_the_collector_is_down() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    process = SpanProcess({**os.environ, **environ})
    assert process.pid
    sizes = []
    for _ in range(2):
        for _ in range(50):
            many = spans(500)
            process.send(many)
            eventually(lambda: process.send([]) or not process.waiting)
        sizes.append(resident(process.pid))
    process.close(0.0)
    assert sizes[1] - sizes[0] < 4 << 20


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL='grpc': must be"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: must be"),
        ({"OTEL_TRACES_SAMPLER": "other"}, "OTEL_TRACES_SAMPLER='other': must be one of"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "OTEL_…: Invalid timeout"),
    ],
)
def test_variable_by_which_nothing_can_be_sent_is_an_error(
    environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=re.escape(message)):
        check_spans(os.environ)


def test_package_that_is_missing_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fileservice.observability.span_exporter", None)
    with pytest.raises(ValueError, match=re.escape("pip install 'fileservice[otel]'")):
        check_spans({})


def test_a_process_that_cannot_be_started_for_want_of_descriptors_is_started_later(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    process = SpanProcess(environ, restart_seconds=0.0)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: process.send(spans()) or process.pid is None)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = count_descriptors()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        process.send(spans())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert process.pid is None
    assert count_descriptors() <= before  # connections of an earlier collector may end meanwhile
    process.send([])
    assert process.pid
    process.close(60)
    assert "cannot be started: Too many open files" in messages(caplog)[1]
