"""The program that makes spans of what a worker knows of its requests, and sends them by OTLP.

It reads lines from its standard input until that ends: each is an array, in JSON, of the facts of
requests (`request_spans`). It writes what the log of the worker should say to its standard output.
It is configured by the variables of OpenTelemetry, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from fileservice import __version__
from fileservice.observability.request_spans import FIELDS

_LAST_SECONDS = 5.0
"""So long, the process tries to send its last spans if its worker was killed."""
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
_NAME = "fileservice"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_DEFAULT_ENDPOINT = "http://localhost:4318"
_PROTOCOL = "http/protobuf"


def check(environ: Mapping[str, str]) -> None:
    """Raise ValueError if spans can certainly not be sent as the variables say."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if (environ.get(name) or _PROTOCOL) != _PROTOCOL:
            raise ValueError(f"{name}={environ[name]!r}: must be {_PROTOCOL}")
    for name in _ENDPOINTS:
        parts = urlsplit(environ.get(name) or _DEFAULT_ENDPOINT)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{name}: must be a URL such as {_DEFAULT_ENDPOINT}")
    messages = _Messages()  # the SDK warns of other values, and uses its defaults
    try:
        SpanMaker(OTLPSpanExporter()).close()
    except (ValueError, OSError) as error:
        messages.first = messages.first or str(error)
    if messages.first:
        raise ValueError(f"the variables OTEL_…: {messages.first}")


def main() -> None:
    """Send spans until the standard input ends, and then the last ones, for a few seconds."""
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends after its worker, which gets these too
        signal.signal(number, signal.SIG_IGN)
    exporter = _ReportingExporter(OTLPSpanExporter())
    spans = SpanMaker(exporter)
    for line in sys.stdin.buffer:
        if line.endswith(b"\n"):  # a worker that is killed leaves a part of its last one
            for facts in json.loads(line):
                spans.make(dict(zip(FIELDS, facts, strict=True)))
    limit = threading.Timer(_LAST_SECONDS, os._exit, (1,))
    limit.daemon = True
    limit.start()
    spans.close()
    limit.cancel()


class SpanMaker:
    """Makes spans of requests, with the semantic conventions for HTTP servers (1.23 and later)."""

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource({SERVICE_NAME: _NAME, SERVICE_VERSION: __version__})
        found = Resource.create()
        if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
            found = Resource({k: v for k, v in found.attributes.items() if k != SERVICE_NAME})
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled has not come here
            resource=resource.merge(found),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(_NAME, __version__)

    def make(self, facts: Mapping[str, Any]) -> None:
        """Make the span of one request, which is sent in a moment."""
        _, trace_id, span_id, _ = facts["trace_context"].split("-")
        self._ids.trace_id, self._ids.span_id = int(trace_id, 16), int(span_id, 16)
        end = facts["end"]
        span = self._tracer.start_span(
            _name(facts),
            context=_parent(self._ids.trace_id, facts["parent_span"]),
            kind=SpanKind.SERVER,
            attributes=attributes(facts),
            start_time=end - int(facts["seconds"] * 1e9),
        )
        if _has_failed(facts):
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def close(self) -> None:
        """Send all spans."""
        self._provider.shutdown()


class _GivenIds(IdGenerator):
    """The ids of the next span, which others know already."""

    trace_id = span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class _ReportingExporter(SpanExporter):
    """Says when spans are not received, and when they are again, once each."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False
        self._messages = _Messages()
        named = next(filter(None, map(os.environ.get, _ENDPOINTS)), _DEFAULT_ENDPOINT)
        parts = urlsplit(named)
        self._collector = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._messages.first = ""
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            _say(f"{self._collector} does not receive spans: {self._messages.first}")
        elif self._is_failing and not is_failing:
            _say(f"{self._collector} receives spans again")
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Messages(logging.Handler):
    """Keeps the first message of the SDK, which would otherwise go to the standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()


def attributes(facts: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Return the attributes of the span of a request; what is unknown is left out."""
    protocol = (facts["protocol"] or "").removeprefix("HTTP/")
    found = {
        "http.request.method": _method(facts),
        "http.route": facts["route"],
        "http.response.status_code": facts["status"],
        "http.request.body.size": facts["received"],
        "http.response.body.size": facts["sent"],
        "url.scheme": facts["scheme"],
        "client.address": facts["client"],
        "network.protocol.version": protocol,
        "error.type": _error_type(facts) if _has_failed(facts) else None,
        "fileservice.request_id": facts["request_id"],
        "fileservice.action": facts["action"],
        "fileservice.problem": facts["problem"],
        "fileservice.outcome": facts["outcome"],
    }
    for stage, seconds in (facts["stages"] or {}).items():
        found[f"fileservice.stage.{stage}"] = seconds
    return {name: value for name, value in found.items() if value not in (None, "", 0)}


def _name(facts: Mapping[str, Any]) -> str:
    method = _method(facts)
    return f"{'HTTP' if method == '_OTHER' else method} {facts['route']}".rstrip()


def _method(facts: Mapping[str, Any]) -> str:
    return facts["method"] if facts["method"] in _METHODS else "_OTHER"


def _has_failed(facts: Mapping[str, Any]) -> bool:
    """Return whether the service, rather than the client, is why the request did not succeed."""
    return facts["status"] >= 500 or facts["outcome"] in ("failed", "cut")


def _error_type(facts: Mapping[str, Any]) -> str:
    return facts["problem"] or (
        str(facts["status"]) if facts["status"] >= 500 else facts["outcome"]
    )


def _parent(trace_id: int, parent_span: str) -> Context:
    """Return a context with the span of the proxy, if there is one."""
    if not parent_span:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(trace_id, int(parent_span, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _say(text: str) -> None:
    # What a URL has after its host may be a secret.
    line = re.sub(r"(?<=url: )\S+", "…", text).replace("\n", " ")
    print(line[:500], flush=True)  # noqa: T201  # the worker logs it
