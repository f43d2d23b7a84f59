"""What is known of requests becomes spans with the names of the semantic conventions."""

import time
from collections.abc import Sequence

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import http_attributes
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    network_attributes,
    url_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode

from fileservice.observability import RequestSpans, Sampler
from fileservice.observability.request_spans import FIELDS, SpanFacts
from fileservice.observability.span_exporter import SpanMaker
from fileservice.request_record import RequestRecord, StageTimes

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Sink:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.spans: list[dict[str, object]] = []
        self.closed = 0.0

    def send(self, spans: Sequence[SpanFacts]) -> None:
        self.spans += [dict(zip(FIELDS, facts, strict=True)) for facts in spans]

    def close(self, seconds: float) -> None:
        self.closed = seconds


def record(**facts: object) -> RequestRecord:
    environ = {
        "wsgi.url_scheme": "https",
        "REMOTE_ADDR": "192.0.2.7",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": "Bearer fs_secret",
        "QUERY_STRING": "secret",
        "PATH_INFO": "/upload/secret.txt",
    }
    line = "PUT /upload/secret.txt?secret HTTP/1.1"
    made = RequestRecord(str(facts.pop("method", "PUT")), line, environ)
    made.route, made.action, made.status, made.seconds = "/upload/<name>", "write", 201, 0.25
    made.outcome = "complete"
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def described(*records: RequestRecord, sampler: str = "parentbased_always_on") -> Sink:
    sink = Sink()
    spans = RequestSpans(Sampler.from_environ({"OTEL_TRACES_SAMPLER": sampler}), sink)
    for each in records:
        each.end(time.monotonic())
    spans.observe(records, (), 0.0)
    return sink


def made(*records: RequestRecord) -> list:
    """The spans of requests."""
    exporter = InMemorySpanExporter()
    maker = SpanMaker(exporter)
    for facts in described(*records).spans:
        maker.make(facts)
    maker.close()
    return list(exporter.get_finished_spans())


def test_span_of_an_upload_has_all_that_is_known_and_nothing_of_its_path() -> None:
    upload = record(parent=PARENT, received=5, sent=210, stages=StageTimes(receive=0.1, sync=0.05))
    upload.span = Sampler.from_environ({}).trace_context(upload)
    (span,) = made(upload)
    assert (span.name, span.kind) == ("PUT /upload/<name>", SpanKind.SERVER)
    assert span.status.status_code is StatusCode.UNSET
    assert f"{span.context.trace_id:032x}" == PARENT[3:35]
    assert f"{span.context.span_id:016x}" == upload.span[36:52]
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT[36:52]
    assert span.end_time - span.start_time == 250_000_000
    assert dict(span.attributes) == {
        "http.request.method": "PUT",
        "http.route": "/upload/<name>",
        "http.response.status_code": 201,
        "http.request.body.size": 5,
        "http.response.body.size": 210,
        "url.scheme": "https",
        "client.address": "192.0.2.7",
        "network.protocol.version": "1.1",
        "fileservice.request_id": upload.id,
        "fileservice.action": "write",
        "fileservice.outcome": "complete",
        "fileservice.stage.receive": 0.1,
        "fileservice.stage.sync": 0.05,
    }
    assert "secret" not in span.to_json()


def test_names_of_attributes_are_those_of_the_conventions() -> None:
    (span,) = made(record(status=500, received=1, sent=1))
    known = {
        value
        for module in (
            client_attributes,
            error_attributes,
            http_attributes,
            network_attributes,
            url_attributes,
        )
        for name, value in vars(module).items()
        if name.isupper()
    }
    ours = {name for name in span.attributes if not name.startswith("fileservice.")}
    assert len(ours) == 9
    assert ours <= known


def test_failures_of_the_service_are_errors_and_refusals_are_not() -> None:
    cases = [
        (record(status=404, problem="not-found"), None),
        (record(status=503, problem="busy"), "busy"),
        (record(status=500), "500"),
        (record(status=0, outcome="aborted: the client went away"), None),
        (record(status=200, outcome="failed: OSError('/srv/secret')"), "failed"),
        (record(status=200, outcome="cut: the service stops"), "cut"),
    ]
    spans = made(*(case for case, _ in cases))
    assert [span.attributes.get("error.type") for span in spans] == [error for _, error in cases]
    for span, (_, error) in zip(spans, cases, strict=True):
        assert (span.status.status_code is StatusCode.ERROR) == (error is not None)
        assert "secret" not in span.to_json()


def test_method_and_path_of_a_client_that_are_not_known_are_in_no_span() -> None:
    (span,) = made(record(method="SECRET", route="", status=405))
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert "secret" not in span.to_json().lower()


def test_request_that_the_application_has_not_seen_has_a_span_of_its_own_trace() -> None:
    refused = RequestRecord("GET", "GET", {"REMOTE_ADDR": ""})
    refused.status, refused.problem, refused.outcome = 400, "bad-request", "refused: secret"
    (span,) = made(refused)
    assert f"{span.context.trace_id:032x}" == refused.id
    assert (span.name, span.parent) == ("GET", None)
    assert "client.address" not in span.attributes
    assert span.attributes["fileservice.outcome"] == "refused"


def test_request_that_is_not_sampled_has_no_span() -> None:
    assert described(record(), sampler="always_off").spans == []
    assert described(record(parent=f"{PARENT[:-2]}00")).spans == []
    assert len(described(record(parent=PARENT), record()).spans) == 2


def test_span_ends_when_its_request_has_ended() -> None:
    sink, ended = Sink(), record()
    before = time.time()
    ended.end(time.monotonic() - 5)
    RequestSpans(Sampler.from_environ({}), sink).observe([ended], (), 0.0)
    (span,) = sink.spans
    assert before - 6 < span["end"] / 1e9 < time.time() - 4


def test_sink_is_closed_with_time_to_receive_the_last_spans() -> None:
    sink = Sink()
    RequestSpans(Sampler.from_environ({}), sink).close()
    assert sink.closed > 0


def test_service_is_named_by_the_operator_or_fileservice(monkeypatch) -> None:
    for variable in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(variable, raising=False)
    (span,) = made(record())
    assert span.resource.attributes["service.name"] == "fileservice"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "files")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    (span,) = made(record())
    assert span.resource.attributes["service.name"] == "files"
    assert span.resource.attributes["deployment.environment.name"] == "test"
